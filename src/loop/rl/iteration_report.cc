#include "loop/rl/iteration_report.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <set>

#include "base/progress_line.h"
#include "train/advantage/advantage.h"

namespace longshot::loop {

using data::FinishReason;

std::vector<data::Verdict> judge(reward::RewardStage& rewards, replay::ReplayBuffer& replay,
                                 const std::vector<data::Sample>& samples) {
  std::vector<const data::Prompt*> prompt_of;
  std::vector<const data::Sample*> finished;
  std::vector<size_t> index;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].finish == FinishReason::partial) continue;
    prompt_of.push_back(replay.find_prompt(samples[i].prompt_id, samples[i].seed));
    LS_CHECK(prompt_of.back() != nullptr, "sample of a group that was not opened");
    finished.push_back(&samples[i]);
    index.push_back(i);
  }
  std::vector<data::Verdict> verdicts(samples.size());
  std::vector<data::Verdict> judged = rewards.judge(prompt_of, finished);
  for (size_t i = 0; i < judged.size(); ++i) verdicts[index[i]] = std::move(judged[i]);
  return verdicts;
}

Status RewardWatch::check(const std::vector<data::Sample>& samples,
                          const std::vector<data::Verdict>& verdicts) {
  std::set<std::string> prompts;
  int failed = 0, partial = 0, judged = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].finish == FinishReason::partial) {
      ++partial;
    } else if (verdicts[i].scored) {
      ++judged;
    } else {
      ++failed;
      prompts.insert(samples[i].prompt_id);
    }
  }
  reason_ = reward::most_frequent_error(verdicts);
  const int count = static_cast<int>(prompts.size());
  const bool hopeless = judged_before_ ? failed >= kMany && count >= kManyPrompts
                                       : failed > 0 && (partial == 0 || count > 1);
  judged_before_ = judged_before_ || judged > 0;
  if (judged > 0 || !hopeless) return ok_status();
  return invalid_argument(
      fmt::format("none of the {} finished samples could be judged: {}", failed, reason_));
}

void judge_ahead(reward::RewardStage& rewards, replay::ReplayBuffer& replay,
                 const data::Sample& sample) {
  const data::Prompt* prompt = replay.find_prompt(sample.prompt_id, sample.seed);
  LS_CHECK(prompt != nullptr, "sample of a group that was not opened");
  rewards.judge_ahead(*prompt, sample);
}

void report_samples(const std::vector<data::Sample>& samples,
                    const std::vector<data::Verdict>& verdicts, Metrics& metrics) {
  Summary length, prompt_length, cut, loops, partial, errors;
  for (size_t i = 0; i < samples.size(); ++i) {
    const data::Sample& s = samples[i];
    partial.add(s.finish == FinishReason::partial ? 1 : 0);
    if (s.finish == FinishReason::partial) continue;
    length.add(static_cast<double>(s.tokens.size()));
    prompt_length.add(static_cast<double>(s.prompt_tokens.size()));
    cut.add(s.finish == FinishReason::length ? 1 : 0);
    loops.add(s.finish == FinishReason::repetition ? 1 : 0);
    errors.add(verdicts[i].scored ? 0 : 1);
  }
  length.report("response_length", metrics);
  prompt_length.report("prompt_length", metrics);
  metrics["response_length/clip_ratio"] = cut.mean();
  metrics["rollout/repetition_share"] = loops.mean();
  metrics["rollout/partial_share"] = partial.mean();
  metrics["reward/error_share"] = errors.mean();
}

void report_groups(const std::vector<data::Group>& groups, Metrics& metrics) {
  Summary score, correct, flat;
  std::map<std::string, Summary> components;
  for (const data::Group& group : groups) {
    std::vector<double> own;
    for (const data::Verdict& v : group.verdicts) {
      if (!v.scored) continue;
      own.push_back(v.score);
      score.add(v.score);
      correct.add(v.correct ? 1 : 0);
      for (const auto& [name, value] : v.components) components[name].add(value);
    }
    if (!own.empty()) flat.add(train::equal_rewards(own) ? 1 : 0);
  }
  score.report("critic/score", metrics);
  score.report("critic/rewards", metrics);
  for (const auto& [name, s] : components) metrics["reward/" + name + "/mean"] = s.mean();
  metrics["critic/accuracy"] = correct.mean();
  metrics["critic/groups_without_variance"] = flat.mean();
  metrics["replay/groups_taken"] = static_cast<double>(groups.size());
}

void record_success(prompts::PromptSampler& prompts, const data::Group& group) {
  Summary correct;
  for (const data::Verdict& v : group.verdicts) {
    if (v.scored) correct.add(v.correct ? 1 : 0);
  }
  if (correct.count() > 0) prompts.record(group.prompt.id, correct.mean());
}

namespace {

std::string prompt_text(const data::Prompt& prompt) {
  if (prompt.messages.empty()) return prompt.text;
  std::string text;
  for (const data::Message& m : prompt.messages) text += m.role + ": " + m.content + "\n";
  return text;
}

}  // namespace

std::vector<SampleRecord> sample_records(const std::vector<data::Group>& groups, int limit) {
  std::vector<SampleRecord> records;
  for (const data::Group& group : groups) {
    for (size_t i = 0; i < group.samples.size(); ++i) {
      if (limit >= 0 && static_cast<int>(records.size()) >= limit) return records;
      const data::Sample& s = group.samples[i];
      const data::Verdict& v = group.verdicts[i];
      SampleRecord& r = records.emplace_back();
      r.prompt_id = s.prompt_id;
      r.prompt = prompt_text(group.prompt);
      r.response = s.text;
      if (v.scored) r.score = v.score;
      r.correct = v.correct;
      r.components = v.components;
      r.answer = v.answer;
      r.ground_truth = group.prompt.ground_truth;
      r.finish = data::finish_reason_name(s.finish);
      r.tokens = static_cast<int64_t>(s.tokens.size());
      r.error = v.error;
    }
  }
  return records;
}

std::string describe(const rollout::Progress& p) {
  const int64_t percent = p.total == 0 ? 100 : 100 * p.finished / p.total;
  return fmt::format("rollout {}% of {} samples, {} tokens", percent, p.total,
                     with_commas(p.generated_tokens));
}

std::string headline(const Metrics& metrics) {
  const auto value = [&](const char* name) {
    const auto it = metrics.find(name);
    return it == metrics.end() ? 0.0 : it->second;
  };
  std::string text =
      fmt::format("reward {:.3f} right {:.3f} length {:.1f} gap {:.1e} {} tok/s",
                  value("critic/rewards/mean"), value("critic/accuracy"),
                  value("response_length/mean"), value("training/rollout_probs_diff_max"),
                  with_commas(static_cast<int64_t>(value("rollout/tokens_per_second"))));
  if (value("reward/error_share") > 0)
    text += fmt::format(" | {:.1f} % not judged", 100 * value("reward/error_share"));
  if (metrics.count("val/accuracy"))
    text += fmt::format(" | held-out {:.3f}", value("val/accuracy"));
  return text;
}

double peak_memory_gb() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);
}

}  // namespace longshot::loop
