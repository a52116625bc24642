#include "eval/reward_models.h"

#include <algorithm>
#include <cmath>

#include "base/os/stop.h"
#include "base/thread_pool.h"
#include "datasets/encode.h"
#include "model/reward_head.h"
#include "model/torch/runtime.h"
#include "reward/learned/score_model.h"
#include "rollout/jobs.h"

namespace longshot::eval {
namespace {

using Rows = std::vector<datasets::JudgedRow>;
using Responses = std::vector<JudgedResponse>;

Responses responses_of(const Rows& rows) {
  Responses items;
  for (size_t i = 0; i < rows.size(); ++i) {
    items.push_back({.row = i, .response = &rows[i].response, .status = {}});
    if (rows[i].pair) items.push_back({.row = i, .response = &rows[i].rejected, .status = {}});
  }
  return items;
}

reward::JudgedAnswer asked(const datasets::JudgedRow& row, const std::string& response) {
  return {reward::question_text(row.question), row.reference, response};
}

// Judges with a model that scores, in this process.
Status judge_by_score(const JudgeOptions& o, const Rows& rows, Responses& items) {
  const int threads = model::configure_compute(o.engine.threads);
  LS_ASSIGN_OR_RETURN(auto model, reward::ScoreModel::load(o.model.path, o.model.chat_template,
                                                           o.engine.device, threads));
  std::vector<std::vector<data::TokenId>> sequences;
  std::vector<size_t> readable;
  for (size_t i = 0; i < items.size(); ++i) {
    const datasets::JudgedRow& row = rows[items[i].row];
    auto ids = model->encode({row.question, row.reference, *items[i].response});
    items[i].status = ids.status().with_context(row.where);
    if (!ids.ok()) continue;
    sequences.push_back(std::move(*ids));
    readable.push_back(i);
  }
  LS_ASSIGN_OR_RETURN(const std::vector<float> scores, model->scores(sequences));
  for (size_t k = 0; k < readable.size(); ++k) {
    JudgedResponse& answer = items[readable[k]];
    answer.score = scores[k];
    answer.probability = model::score_probability(scores[k]);
    if (!std::isfinite(scores[k])) answer.status = internal_error("the score is not finite");
  }
  return ok_status();
}

void take_votes(const reward::Votes& votes, JudgedResponse& answer) {
  answer.score = answer.probability = votes.probability();
}

// The samples in which a model that reasons gives its verdicts: `votes` for each response.
struct VoteJobs {
  std::vector<data::Sample> jobs;
  std::vector<size_t> item_of;  // [jobs]
  int longest = 0;              // prompt, in tokens
};

Result<VoteJobs> vote_jobs(const JudgeOptions& o, const Rows& rows, const Responses& items,
                           const model::ModelFiles& files) {
  VoteJobs out;
  for (size_t i = 0; i < items.size(); ++i) {
    const datasets::JudgedRow& row = rows[items[i].row];
    const data::Message turn{"user",
                             reward::judge_prompt(o.prompt, asked(row, *items[i].response))};
    LS_ASSIGN_OR_RETURN(
        const auto tokens,
        datasets::encode_chat(*files.tokenizer, files.chat_template, {turn}, true, row.where));
    out.longest = std::max(out.longest, static_cast<int>(tokens.size()));
    for (int v = 0; v < o.votes; ++v) {
      data::Sample& job = out.jobs.emplace_back();
      job.prompt_id = rollout::content_id(tokens);
      job.index = static_cast<uint32_t>(v);
      job.seed = o.seed;
      job.prompt_tokens = tokens;
      job.finish = data::FinishReason::partial;  // not started
      out.item_of.push_back(i);
    }
  }
  return out;
}

Result<std::vector<data::Sample>> generate_votes(const JudgeOptions& o, model::ModelFiles& files,
                                                 VoteJobs& votes) {
  rollout::EngineOptions options;
  options.sampling = o.sampling;
  int& response = options.sampling.max_response_length;
  if (o.default_length) inference::fit_default_response(files.config, votes.longest, response);
  LS_ASSIGN_OR_RETURN(
      const rollout::RunnerLimits limits,
      inference::limits_for(files.config, o.max_concurrent, votes.longest, response));
  LS_ASSIGN_OR_RETURN(auto engine, inference::open_engine(o.model, o.engine, files, limits));
  options.sampling.stop_tokens.assign(files.config.eos_token_ids.begin(),
                                      files.config.eos_token_ids.end());
  return engine->generate(std::move(votes.jobs), options);
}

void count_votes(const std::vector<data::Sample>& samples, const std::vector<size_t>& item_of,
                 Responses& items) {
  std::vector<reward::Votes> votes(items.size());
  for (size_t k = 0; k < samples.size(); ++k) {
    const auto vote = reward::parse_vote(samples[k].text);
    if (vote.ok()) {
      votes[item_of[k]].add(*vote);
    } else {
      items[item_of[k]].status = vote.status();
    }
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (votes[i].yes == votes[i].no) continue;  // no verdict, or a tie because some were malformed
    items[i].status = ok_status();
    take_votes(votes[i], items[i]);
  }
}

// Judges with a model that reasons, in this process.
Status judge_by_reasoning(const JudgeOptions& o, const Rows& rows, Responses& items) {
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, inference::open_model(o.model));
  LS_ASSIGN_OR_RETURN(VoteJobs votes, vote_jobs(o, rows, items, files));
  LS_ASSIGN_OR_RETURN(const auto samples, generate_votes(o, files, votes));
  if (stop_requested()) return cancelled("stopped");
  count_votes(samples, votes.item_of, items);
  return ok_status();
}

// Judges with a model that reasons, behind one or several URLs.
Status judge_by_url(const JudgeOptions& o, const Rows& rows, Responses& items) {
  const Json options = {{"url", o.urls},
                        {"model", o.served_model},
                        {"prompt", o.prompt},
                        {"votes", o.votes},
                        {"tries", 1},
                        {"temperature", o.sampling.temperature},
                        {"max_tokens", o.sampling.max_response_length}};
  LS_ASSIGN_OR_RETURN(const auto judge, reward::Judge::create(options));
  ThreadPool pool(o.parallel);
  pool.parallel_for(static_cast<int>(items.size()), [&](int i) {
    JudgedResponse& answer = items[static_cast<size_t>(i)];
    const auto votes =
        judge->ask(asked(rows[answer.row], *answer.response), Deadline::after_seconds(o.timeout));
    answer.status = votes.status();
    if (votes.ok()) take_votes(*votes, answer);
  });
  return stop_requested() ? cancelled("stopped") : ok_status();
}

}  // namespace

Result<std::vector<JudgedResponse>> judge_rows(const JudgeOptions& options, JudgeKind kind,
                                               const Rows& rows) {
  Responses items = responses_of(rows);
  switch (kind) {
    case JudgeKind::scores:
      LS_RETURN_IF_ERROR(judge_by_score(options, rows, items));
      break;
    case JudgeKind::reasons:
      LS_RETURN_IF_ERROR(judge_by_reasoning(options, rows, items));
      break;
    case JudgeKind::served:
      LS_RETURN_IF_ERROR(judge_by_url(options, rows, items));
      break;
  }
  return items;
}

JudgeOutcome outcome_of(const Rows& rows, const Responses& items) {
  JudgeOutcome out;
  for (size_t i = 0; i < items.size();) {
    const datasets::JudgedRow& row = rows[items[i].row];
    const size_t count = row.pair ? 2 : 1;
    bool all = true;
    for (size_t k = i; k < i + count; ++k) {
      const Status& status = items[k].status;
      if (status.ok()) continue;
      all = false;
      ++(status.code() == StatusCode::corrupt ? out.malformed : out.failed);
      if (out.first_failure.empty()) out.first_failure = row.where + ": " + status.message();
    }
    if (all && row.pair) out.pairs.push_back({items[i].score, items[i + 1].score});
    if (all && !row.pair) out.judgements.push_back({items[i].probability, row.label > 0.5});
    i += count;
  }
  return out;
}

}  // namespace longshot::eval
