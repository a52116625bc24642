// longshot rm-eval: how well a reward model judges rows whose labels are known.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "base/os/clock.h"
#include "base/os/stop.h"
#include "base/thread_pool.h"
#include "commands/command.h"
#include "commands/judge/result_files.h"
#include "commands/model/inference.h"
#include "datasets/encode.h"
#include "datasets/preference.h"
#include "eval/judgements.h"
#include "loop/rl/parts.h"
#include "model/reward_head.h"
#include "model/torch/runtime.h"
#include "reward/judge/judge.h"
#include "reward/learned/score_model.h"
#include "rollout/jobs.h"

namespace longshot::commands {
namespace {

struct Options {
  InferenceOptions inference;
  std::vector<std::string> files, urls;
  std::vector<std::string> given;  // options on the command line that only some models have
  std::string chat_template, prompt = reward::kJudgePrompt, served_model, output, judgements;
  int votes = 1, parallel = 8, max_concurrent = 256;
  double timeout = 120;
};

// A response to judge. Both of a pair are there.
struct Item {
  size_t row;
  const std::string* response;
};
// Its verdict, or why there is none.
struct Answer {
  Status status;
  double score = 0;        // what pairs are compared by
  double probability = 0;  // that the response is right
};

std::vector<Item> items_of(const std::vector<datasets::JudgedRow>& rows) {
  std::vector<Item> items;
  for (size_t i = 0; i < rows.size(); ++i) {
    items.push_back({i, &rows[i].response});
    if (rows[i].pair) items.push_back({i, &rows[i].rejected});
  }
  return items;
}

reward::JudgedAnswer asked(const datasets::JudgedRow& row, const std::string& response) {
  return {reward::question_text(row.question), row.reference, response};
}

// A model that scores.
Status judge_by_score(const Options& o, const std::vector<datasets::JudgedRow>& rows,
                      const std::vector<Item>& items, std::vector<Answer>& answers) {
  const int threads = model::configure_compute(o.inference.threads);
  LS_ASSIGN_OR_RETURN(auto model, reward::ScoreModel::load(o.inference.model, o.chat_template,
                                                           o.inference.device, threads));
  std::vector<std::vector<data::TokenId>> sequences;
  std::vector<size_t> readable;
  for (size_t i = 0; i < items.size(); ++i) {
    const datasets::JudgedRow& row = rows[items[i].row];
    auto ids = model->encode({row.question, row.reference, *items[i].response});
    answers[i].status = ids.status().with_context(row.where);
    if (!ids.ok()) continue;
    sequences.push_back(std::move(*ids));
    readable.push_back(i);
  }
  LS_ASSIGN_OR_RETURN(const std::vector<float> scores, model->scores(sequences));
  for (size_t k = 0; k < readable.size(); ++k) {
    Answer& answer = answers[readable[k]];
    answer.score = scores[k];
    answer.probability = model::score_probability(scores[k]);
    if (!std::isfinite(scores[k])) answer.status = internal_error("the score is not finite");
  }
  return ok_status();
}

void take_votes(const reward::Votes& votes, Answer& answer) {
  answer.score = answer.probability = votes.probability();
}

// A model that reasons, in this process. Each answer is asked for `votes` times; malformed verdicts do not vote.
Status judge_by_reasoning(Options& o, const std::vector<datasets::JudgedRow>& rows,
                          const std::vector<Item>& items, std::vector<Answer>& answers) {
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, load_for_inference(o.inference));
  if (!o.chat_template.empty()) {
    LS_RETURN_IF_ERROR(files.chat_template.choose(o.chat_template));
  }
  std::vector<data::Sample> jobs;
  std::vector<size_t> item_of;
  int longest = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const datasets::JudgedRow& row = rows[items[i].row];
    const data::Message turn{"user",
                             reward::judge_prompt(o.prompt, asked(row, *items[i].response))};
    LS_ASSIGN_OR_RETURN(
        const auto tokens,
        datasets::encode_chat(*files.tokenizer, files.chat_template, {turn}, true, row.where));
    longest = std::max(longest, static_cast<int>(tokens.size()));
    for (int v = 0; v < o.votes; ++v) {
      data::Sample& job = jobs.emplace_back();
      job.prompt_id = rollout::content_id(tokens);
      job.index = static_cast<uint32_t>(v);
      job.seed = o.inference.seed;
      job.prompt_tokens = tokens;
      job.finish = data::FinishReason::partial;  // not started
      item_of.push_back(i);
    }
  }
  LS_ASSIGN_OR_RETURN(const rollout::RunnerLimits limits,
                      loop::runner_limits(files.config, o.max_concurrent, longest,
                                          o.inference.sampling.max_response_length));
  LS_ASSIGN_OR_RETURN(auto engine, make_engine(o.inference, files, limits));
  rollout::EngineOptions options;
  options.sampling = o.inference.sampling;
  LS_ASSIGN_OR_RETURN(const auto samples, engine->generate(std::move(jobs), options));
  if (stop_requested()) return cancelled("stopped");
  std::vector<reward::Votes> votes(items.size());
  for (size_t k = 0; k < samples.size(); ++k) {
    const auto verdict = reward::parse_verdict(samples[k].text);
    if (verdict.ok()) {
      votes[item_of[k]].add(*verdict);
    } else {
      answers[item_of[k]].status = verdict.status();
    }
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (votes[i].yes == votes[i].no) continue;  // none, or malformed ones left a tie
    answers[i].status = ok_status();
    take_votes(votes[i], answers[i]);
  }
  return ok_status();
}

// A model that reasons, behind one or several URLs.
Status judge_by_url(const Options& o, const std::vector<datasets::JudgedRow>& rows,
                    const std::vector<Item>& items, std::vector<Answer>& answers) {
  const Json options = {{"url", o.urls},
                        {"model", o.served_model},
                        {"prompt", o.prompt},
                        {"votes", o.votes},
                        {"tries", 1},
                        {"temperature", o.inference.sampling.temperature},
                        {"max_tokens", o.inference.sampling.max_response_length}};
  LS_ASSIGN_OR_RETURN(const auto judge, reward::Judge::create(options));
  ThreadPool pool(o.parallel);
  pool.parallel_for(static_cast<int>(items.size()), [&](int i) {
    const Item& item = items[static_cast<size_t>(i)];
    const auto votes =
        judge->ask(asked(rows[item.row], *item.response), Deadline::after_seconds(o.timeout));
    Answer& answer = answers[static_cast<size_t>(i)];
    answer.status = votes.status();
    if (votes.ok()) take_votes(*votes, answer);
  });
  return stop_requested() ? cancelled("stopped") : ok_status();
}

// What the answers say together.
struct Outcome {
  std::vector<eval::Judgement> judgements;
  std::vector<eval::JudgedPair> pairs;
  int64_t malformed = 0;  // responses on which the judge spoke, but gave no verdict
  int64_t failed = 0;     // responses on which it did not speak, or that it cannot read
  std::string first_failure;
};

Outcome compare(const std::vector<datasets::JudgedRow>& rows, const std::vector<Item>& items,
                const std::vector<Answer>& answers) {
  Outcome out;
  for (size_t i = 0; i < items.size();) {
    const datasets::JudgedRow& row = rows[items[i].row];
    const size_t count = row.pair ? 2 : 1;
    bool all = true;
    for (size_t k = i; k < i + count; ++k) {
      const Status& status = answers[k].status;
      if (status.ok()) continue;
      all = false;
      ++(status.code() == StatusCode::corrupt ? out.malformed : out.failed);
      if (out.first_failure.empty()) out.first_failure = row.where + ": " + status.message();
    }
    if (all && row.pair) out.pairs.push_back({answers[i].score, answers[i + 1].score});
    if (all && !row.pair) out.judgements.push_back({answers[i].probability, row.label > 0.5});
    i += count;
  }
  return out;
}

OrderedJson report(const Options& o, const char* kind, const Outcome& outcome, size_t responses,
                   double seconds) {
  OrderedJson json;
  json["model"] = o.urls.empty() ? o.inference.model : fmt::format("{}", fmt::join(o.urls, ", "));
  json["kind"] = kind;
  json["responses"] = responses;
  json["malformed"] = outcome.malformed;
  json["failed"] = outcome.failed;
  json["error_rate"] =
      static_cast<double>(outcome.malformed + outcome.failed) / static_cast<double>(responses);
  if (!outcome.judgements.empty()) {
    const OrderedJson figures = eval::to_json(eval::summarize(outcome.judgements));
    for (const auto& [key, value] : figures.items()) json[key] = value;
  }
  if (!outcome.pairs.empty()) {
    json["pairs"] = outcome.pairs.size();
    json["pair_accuracy"] = eval::pair_accuracy(outcome.pairs);
  }
  json["seconds"] = seconds;
  return json;
}

std::string figure(const OrderedJson& value) {
  return value.is_number() ? fmt::format("{:.4f}", value.get<double>()) : "-";
}

void print_figures(std::FILE* out, const OrderedJson& json) {
  fmt::print(out, "responses          {} ({} malformed verdicts, {} failures: error rate {:.4f})\n",
             json["responses"].get<int64_t>(), json["malformed"].get<int64_t>(),
             json["failed"].get<int64_t>(), json["error_rate"].get<double>());
  if (json.contains("accuracy")) {
    fmt::print(out, "accuracy           {}   95 % interval {} to {}, of the {} judged\n",
               figure(json["accuracy"]), figure(json["accuracy_95"][0]),
               figure(json["accuracy_95"][1]), json["judged"].get<int64_t>());
    fmt::print(out, "  of right ones    {}\n  of wrong ones    {}\n",
               figure(json["accuracy_of_right"]), figure(json["accuracy_of_wrong"]));
    fmt::print(out, "area under curve   {}\nBrier score        {}\ncalibration error  {}\n",
               figure(json["auc"]), figure(json["brier"]), figure(json["calibration_error"]));
    fmt::print(out, "probability      responses   mean   right\n");
    for (size_t b = 0; b < json["bins"].size(); ++b) {
      const OrderedJson& bin = json["bins"][b];
      if (bin["count"] == 0) continue;
      fmt::print(out, "  {:.1f} to {:.1f}   {:>10}   {:.3f}   {:.3f}\n",
                 0.1 * static_cast<double>(b), 0.1 * static_cast<double>(b + 1),
                 bin["count"].get<int64_t>(), bin["probability"].get<double>(),
                 bin["right"].get<double>());
    }
  }
  if (json.contains("pair_accuracy"))
    fmt::print(out, "pair accuracy      {}   of {} pairs\n", figure(json["pair_accuracy"]),
               json["pairs"].get<int64_t>());
  fmt::print(out, "speed              {:.1f} s in all\n", json["seconds"].get<double>());
}

std::string judgement_lines(const std::vector<datasets::JudgedRow>& rows,
                            const std::vector<Item>& items, const std::vector<Answer>& answers) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    const datasets::JudgedRow& row = rows[items[i].row];
    OrderedJson line = {{"where", row.where}, {"response", *items[i].response}};
    if (row.pair) {
      line["better"] = items[i].response == &row.response;
    } else {
      line["label"] = row.label;
    }
    if (answers[i].status.ok()) {
      line["score"] = answers[i].score;
      line["probability"] = answers[i].probability;
    } else {
      line["error"] = answers[i].status.message();
    }
    text += dump_json(line) + "\n";
  }
  return text;
}

enum class Kind { classic, reasoning, served };

struct Only {
  const char* option;
  bool classic, reasoning, served;  // where it means something
};
constexpr Only kOnly[] = {
    {"--prompt", false, true, true},        {"--votes", false, true, true},
    {"--temperature", false, true, true},   {"--max-tokens", false, true, true},
    {"--seed", false, true, false},         {"--max-concurrent", false, true, false},
    {"--chat-template", true, true, false}, {"--threads", true, true, false},
    {"--device", true, true, false},        {"--served-model", false, false, true},
    {"--timeout", false, false, true},      {"--parallel", false, false, true},
};

// An option that the model at hand does not have would be ignored.
Status check_given(const Options& o, Kind kind) {
  for (const Only& only : kOnly) {
    const bool meant = kind == Kind::classic     ? only.classic
                       : kind == Kind::reasoning ? only.reasoning
                                                 : only.served;
    if (!meant && std::find(o.given.begin(), o.given.end(), only.option) != o.given.end())
      return invalid_argument(fmt::format("{} means nothing for {}", only.option,
                                          kind == Kind::classic     ? "a model that scores"
                                          : kind == Kind::reasoning ? "a model in this process"
                                                                    : "a served model"));
  }
  return ok_status();
}

Status check(const Options& o) {
  if (o.inference.model.empty() == o.urls.empty())
    return invalid_argument("give either --model or --url");
  if (o.votes % 2 == 0) return invalid_argument("--votes must be odd");
  if (o.votes > 1 && o.inference.sampling.temperature == 0)
    return invalid_argument(
        "--votes above 1 needs a --temperature: greedy answers are all the same");
  return reward::check_judge_prompt(o.prompt).with_context("--prompt");
}

Result<Kind> kind_of(const Options& o) {
  if (!o.urls.empty()) return Kind::served;
  LS_ASSIGN_OR_RETURN(const auto config, model::read_model_config(o.inference.model));
  return config.score_head ? Kind::classic : Kind::reasoning;
}

Status judge(Options& o, Kind kind, const std::vector<datasets::JudgedRow>& rows,
             const std::vector<Item>& items, std::vector<Answer>& answers) {
  if (kind == Kind::classic) return judge_by_score(o, rows, items, answers);
  if (kind == Kind::reasoning) return judge_by_reasoning(o, rows, items, answers);
  return judge_by_url(o, rows, items, answers);
}

Status run(Options& o) {
  LS_RETURN_IF_ERROR(check(o));
  LS_ASSIGN_OR_RETURN(const Kind kind, kind_of(o));
  LS_RETURN_IF_ERROR(check_given(o, kind));
  LS_ASSIGN_OR_RETURN(const auto rows, datasets::read_judged(o.files));
  LS_ASSIGN_OR_RETURN(ResultFiles files, ResultFiles::open(o.output, o.judgements));
  const std::vector<Item> items = items_of(rows);
  std::vector<Answer> answers(items.size());
  const Stopwatch watch;
  LS_RETURN_IF_ERROR(judge(o, kind, rows, items, answers));
  const Outcome outcome = compare(rows, items, answers);
  const char* name = kind == Kind::classic ? "classic" : "chain of thought";
  const OrderedJson json = report(o, name, outcome, items.size(), watch.seconds());
  if (!outcome.first_failure.empty())
    std::fprintf(stderr, "longshot: no verdict for some responses; the first: %s\n",
                 outcome.first_failure.c_str());
  LS_RETURN_IF_ERROR(files.write_rows([&] { return judgement_lines(rows, items, answers); }));
  if (outcome.failed == static_cast<int64_t>(items.size()))
    return invalid_argument("no response could be judged; the first: " + outcome.first_failure);
  print_figures(files.summary(), json);
  return files.write_figures(json);
}

}  // namespace

void add_rm_eval(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<Options>();
  rollout::SamplingOptions& sampling = o->inference.sampling;
  sampling.temperature = 0;
  CLI::App* command = app.add_subcommand(
      "rm-eval", "accuracy and calibration of a reward model on labelled responses and pairs");
  command->add_option("--model", o->inference.model,
                      "directory of a reward model that scores, or of a model that reasons");
  command->add_option("--url", o->urls, "of a served model that reasons; several take turns");
  command->add_option("--data", o->files, "JSONL or parquet files of rows as for longshot rm")
      ->required();
  command->add_option("--prompt", o->prompt,
                      "what a model that reasons is asked: {question}, {reference}, {response} are "
                      "replaced; docs/reward-models.md has the default");
  command->add_option("--votes", o->votes, "verdicts on each response of a model that reasons")
      ->check(CLI::PositiveNumber);
  command->add_option("--temperature", sampling.temperature, "of a model that reasons; 0 = greedy")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--max-tokens", sampling.max_response_length, "longest reasoning")
      ->check(CLI::PositiveNumber);
  command->add_option("--seed", o->inference.seed, "of the reasoning in this process");
  command->add_option("--max-concurrent", o->max_concurrent, "samples in flight in this process")
      ->check(CLI::PositiveNumber);
  command->add_option("--chat-template", o->chat_template,
                      "family used instead of the model's own");
  command->add_option("--threads", o->inference.threads, "0 = all usable cores");
  command->add_option("--device", o->inference.device, "cpu, cuda, cuda:1");
  command->add_option("--served-model", o->served_model, "with --url: the request's model name");
  command->add_option("--timeout", o->timeout, "with --url: seconds for each response")
      ->check(CLI::PositiveNumber);
  command->add_option("--parallel", o->parallel, "with --url: responses judged at a time")
      ->check(CLI::Range(1, 1024));
  command->add_option("--output", o->output, "write the figures as JSON");
  command->add_option("--judgements", o->judgements, "write every judgement as JSONL");
  command->callback([o, command, &exit_code] {
    for (const Only& only : kOnly)
      if (command->count(only.option) > 0) o->given.push_back(only.option);
    exit_code = finish([&] { return run(*o); });
  });
}

}  // namespace longshot::commands
