#include "eval/suite/run_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/os/stop.h"
#include "eval/suite/fill.h"
#include "rollout/jobs.h"

namespace longshot::eval {
namespace {

OrderedJson sample_row(const data::Sample& sample, const data::Verdict& verdict) {
  OrderedJson row;
  row["index"] = sample.index;
  row["response"] = sample.text;
  row["tokens"] = sample.tokens.size();
  row["finish"] = data::finish_reason_name(sample.finish);
  if (!verdict.scored) {
    row["error"] = verdict.error;
    return row;
  }
  row["score"] = verdict.score;
  row["correct"] = verdict.correct;
  row["answer"] = verdict.answer;
  row["components"] = verdict.components;
  return row;
}

// The inverse of sample_row() for a sample without a verdict. Its tokens are all 0, because rewards
// see only how many there are.
Result<data::Sample> stored_sample(const Json& row, const std::string& where) {
  data::Sample sample;
  LS_ASSIGN_OR_RETURN(sample.index, json_get<uint32_t>(row, "index", where));
  LS_ASSIGN_OR_RETURN(sample.text, json_get<std::string>(row, "response", where));
  LS_ASSIGN_OR_RETURN(const int tokens, json_get<int>(row, "tokens", where));
  sample.tokens.resize(static_cast<size_t>(std::max(tokens, 0)));
  LS_ASSIGN_OR_RETURN(const std::string finish, json_get<std::string>(row, "finish", where));
  sample.finish = data::parse_finish_reason(finish).value_or(data::FinishReason::stop);
  return sample;
}

OrderedJson head_of(const Item& item) {
  OrderedJson row;
  row["id"] = item.prompt.id;
  row["data_source"] = item.prompt.data_source;
  row["prompt"] = item.prompt.text;
  return row;
}

class Generate {
 public:
  Generate(rollout::Engine& engine, const Task& task, reward::RewardStage& rewards,
           const TaskRun& run)
      : engine_(engine), task_(task), rewards_(rewards), run_(run) {
    rollout::SamplingOptions& sampling = options_.sampling;
    sampling.temperature = task.temperature;
    sampling.top_p = task.top_p;
    sampling.max_response_length = task.max_tokens;
    sampling.stop_strings = task.stop;
    sampling.stop_tokens = run.end_tokens;
    options_.speculation = run.speculation;
    options_.repetition.enabled = false;
  }

  Result<std::vector<OrderedJson>> rows(std::span<const Item> items) {
    std::vector<data::Draw> draws;
    for (const Item& item : items) draws.push_back({item.prompt, run_.seed});
    LS_ASSIGN_OR_RETURN(const auto samples,
                        engine_.generate(rollout::make_jobs(draws, task_.n), options_));
    if (stop_requested()) return cancelled("stopped; the same command continues");
    std::vector<const data::Prompt*> prompts;
    for (size_t i = 0; i < samples.size(); ++i)
      prompts.push_back(&items[i / static_cast<size_t>(task_.n)].prompt);
    LS_ASSIGN_OR_RETURN(const auto verdicts, judge(prompts, samples));
    std::vector<OrderedJson> rows;
    for (size_t i = 0; i < samples.size(); ++i) {
      const Item& item = items[i / static_cast<size_t>(task_.n)];
      if (i % static_cast<size_t>(task_.n) == 0) {
        rows.push_back(head_of(item));
        rows.back()["ground_truth"] = item.prompt.ground_truth;
        rows.back()["samples"] = OrderedJson::array();
      }
      rows.back()["samples"].push_back(sample_row(samples[i], verdicts[i]));
    }
    return rows;
  }

  // Judges the samples of `rows`, which are those of `items`, that have an error instead of a
  // verdict. Returns whether there are any.
  Result<bool> judge_failed(std::span<const Item> items, std::span<OrderedJson> rows) {
    std::vector<OrderedJson*> failed;
    std::vector<const data::Prompt*> prompts;
    std::vector<data::Sample> samples;
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto stored = rows[i].find("samples");
      if (stored == rows[i].end()) continue;
      for (OrderedJson& row : *stored) {
        if (!row.contains("error")) continue;
        LS_ASSIGN_OR_RETURN(data::Sample sample, stored_sample(row, items[i].prompt.id));
        failed.push_back(&row);
        prompts.push_back(&items[i].prompt);
        samples.push_back(std::move(sample));
      }
    }
    if (failed.empty()) return false;
    LS_ASSIGN_OR_RETURN(const auto verdicts, judge(prompts, samples));
    for (size_t i = 0; i < failed.size(); ++i) *failed[i] = sample_row(samples[i], verdicts[i]);
    return true;
  }

 private:
  // The texts of `samples` become those that the rewards see.
  Result<std::vector<data::Verdict>> judge(const std::vector<const data::Prompt*>& prompts,
                                           std::vector<data::Sample> samples) {
    std::vector<const data::Sample*> judged;
    for (size_t i = 0; i < samples.size(); ++i) {
      Json row = prompts[i]->extra_info;
      row["response"] = samples[i].text;
      LS_ASSIGN_OR_RETURN(samples[i].text, fill(task_.judged, row, prompts[i]->id));
      judged.push_back(&samples[i]);
    }
    std::vector<data::Verdict> verdicts = rewards_.judge(prompts, judged);
    if (stop_requested()) return cancelled("stopped; the same command continues");
    return verdicts;
  }

  rollout::Engine& engine_;
  const Task& task_;
  reward::RewardStage& rewards_;
  const TaskRun& run_;
  rollout::EngineOptions options_;
};

class Likelihood {
 public:
  Likelihood(rollout::Engine& engine, const TaskRun& run) : engine_(engine), run_(run) {}

  Result<std::vector<OrderedJson>> rows(std::span<const Item> items) {
    LS_ASSIGN_OR_RETURN(const auto samples, score(items));
    std::vector<OrderedJson> rows;
    size_t next = 0;
    for (const Item& item : items) {
      std::vector<double> sums, normalized;
      for (const int length : item.lengths) {
        double sum = 0;
        for (const float logprob : samples[next].logprobs) sum += static_cast<double>(logprob);
        sums.push_back(sum);
        normalized.push_back(sum / std::max(1, length));
        ++next;
      }
      OrderedJson& row = rows.emplace_back(head_of(item));
      row["choices"] = item.choices;
      row["answer"] = item.right;
      row["logprobs"] = sums;
      row["pick"] = std::max_element(sums.begin(), sums.end()) - sums.begin();
      row["pick_norm"] =
          std::max_element(normalized.begin(), normalized.end()) - normalized.begin();
    }
    return rows;
  }

 private:
  Result<std::vector<data::Sample>> score(std::span<const Item> items) {
    std::vector<data::Sample> jobs;
    std::map<std::pair<std::string, uint32_t>, const std::vector<data::TokenId>*> forced;
    for (const Item& item : items) {
      for (size_t i = 0; i < item.continuations.size(); ++i) {
        data::Sample& job = jobs.emplace_back();
        job.prompt_id = item.prompt.id;
        job.index = static_cast<uint32_t>(i);
        job.seed = run_.seed;
        job.prompt_tokens = item.prompt.tokens;
        job.finish = data::FinishReason::partial;
        forced[{job.prompt_id, job.index}] = &item.continuations[i];
      }
    }
    const auto of = [&](const data::Sample& job) -> const std::vector<data::TokenId>& {
      return *forced.at({job.prompt_id, job.index});
    };
    rollout::EngineOptions options;
    options.forced_of = of;
    options.length_of = [&](const data::Sample& job) { return static_cast<int>(of(job).size()); };
    LS_ASSIGN_OR_RETURN(auto samples, engine_.generate(std::move(jobs), options));
    if (stop_requested()) return cancelled("stopped; the same command continues");
    return samples;
  }

  rollout::Engine& engine_;
  const TaskRun& run_;
};

Status check_done(const TaskFile& file, const std::vector<Item>& items) {
  const auto& rows = file.rows();
  if (rows.size() > items.size())
    return invalid_argument("there are more results than rows; give another --output");
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i]["id"] != items[i].prompt.id)
      return invalid_argument(
          fmt::format("result {} is of row '{}' and not '{}'; give another "
                      "--output",
                      i + 1, rows[i]["id"].get<std::string>(), items[i].prompt.id));
  }
  return ok_status();
}

// Puts one prompt into the prefix cache, so that all others find the examples that they share with
// it: prompts that start together would each compute them. Blocks are offered to the cache when the
// next pass is planned, hence two tokens.
Status fill_prefix_cache(rollout::Engine& engine, const Item& item) {
  rollout::EngineOptions options;
  options.sampling.temperature = 0;
  options.sampling.max_response_length = 2;
  return engine.generate(rollout::make_jobs({{item.prompt, 0}}, 1), options).status();
}

// Items between two writes.
size_t batch_of(const Task& task, const std::vector<Item>& items, const TaskRun& run) {
  const size_t per_item =
      task.kind == TaskKind::generate ? static_cast<size_t>(task.n) : items.front().choices.size();
  return std::max<size_t>(1, static_cast<size_t>(run.batch) / per_item);
}

// What a reward needs, such as a service, may have been down when the rows were written.
Status judge_failed(Generate& generate, const std::vector<Item>& items, size_t batch,
                    TaskFile& file) {
  std::vector<OrderedJson> rows = file.rows();
  for (size_t done = 0; done < rows.size(); done += batch) {
    const size_t count = std::min(batch, rows.size() - done);
    LS_ASSIGN_OR_RETURN(const bool judged,
                        generate.judge_failed(std::span(items).subspan(done, count),
                                              std::span(rows).subspan(done, count)));
    if (judged) LS_RETURN_IF_ERROR(file.replace(rows));
  }
  return ok_status();
}

template <typename Rows>
Status run_batches(rollout::Engine& engine, const Task& task, const std::vector<Item>& items,
                   const TaskRun& run, TaskFile& file, Rows rows_of) {
  const size_t batch = batch_of(task, items, run);
  if (file.rows().size() < items.size())
    LS_RETURN_IF_ERROR(fill_prefix_cache(engine, items[file.rows().size()]));
  while (file.rows().size() < items.size()) {
    const size_t done = file.rows().size(), count = std::min(batch, items.size() - done);
    if (run.on_progress) run.on_progress(done, items.size());
    LS_ASSIGN_OR_RETURN(const auto rows, rows_of(std::span(items).subspan(done, count)));
    LS_RETURN_IF_ERROR(file.append(rows));
  }
  return ok_status();
}

}  // namespace

Status run_task(rollout::Engine& engine, const Task& task, const std::vector<Item>& items,
                reward::RewardStage* rewards, const TaskRun& run, TaskFile& file) {
  LS_RETURN_IF_ERROR(check_done(file, items).with_context("task '" + task.name + "'"));
  if (task.kind == TaskKind::likelihood) {
    Likelihood likelihood(engine, run);
    return run_batches(engine, task, items, run, file,
                       [&](std::span<const Item> part) { return likelihood.rows(part); });
  }
  Generate generate(engine, task, *rewards, run);
  LS_RETURN_IF_ERROR(judge_failed(generate, items, batch_of(task, items, run), file));
  return run_batches(engine, task, items, run, file,
                     [&](std::span<const Item> part) { return generate.rows(part); });
}

}  // namespace longshot::eval
