#include "loop/rl/iteration_report.h"

#include <fmt/format.h>

#include <map>

#include "base/progress_line.h"
#include "loop/rl/reward_step.h"

namespace longshot::loop {

void SampleReport::add(const std::vector<data::Sample>& samples,
                       const std::vector<data::Verdict>& verdicts) {
  for (size_t i = 0; i < samples.size(); ++i) add(samples[i], verdicts[i]);
}

void SampleReport::add(const data::Sample& s, const data::Verdict& verdict) {
  partial_.add(s.finish == data::FinishReason::partial ? 1 : 0);
  if (s.finish == data::FinishReason::partial) return;
  length_.add(static_cast<double>(s.tokens.size()));
  prompt_length_.add(static_cast<double>(s.prompt_tokens.size()));
  cut_.add(s.finish == data::FinishReason::length ? 1 : 0);
  loops_.add(s.finish == data::FinishReason::repetition ? 1 : 0);
  errors_.add(verdict.scored ? 0 : 1);
}

void SampleReport::report(Metrics& metrics) const {
  if (partial_.count() > 0) metrics["rollout/partial_share"] = partial_.mean();
  if (length_.count() == 0) return;
  length_.report("response_length", metrics);
  prompt_length_.report("prompt_length", metrics);
  metrics["response_length/clip_ratio"] = cut_.mean();
  metrics["rollout/repetition_share"] = loops_.mean();
  metrics["reward/error_share"] = errors_.mean();
}

void report_groups(const std::vector<data::Group>& groups, Metrics& metrics) {
  Summary score, correct, flat;
  std::map<std::string, Summary> components;
  for (const data::Group& group : groups) {
    for (const data::Verdict& v : group.verdicts) {
      if (!v.scored) continue;
      score.add(v.score);
      correct.add(v.correct ? 1 : 0);
      for (const auto& [name, value] : v.components) components[name].add(value);
    }
    if (!scores_of(group).empty()) flat.add(has_variance(group) ? 0 : 1);
  }
  if (score.count() > 0) {
    score.report("critic/score", metrics);
    score.report("critic/rewards", metrics);
    metrics["critic/accuracy"] = correct.mean();
  }
  for (const auto& [name, s] : components) metrics["reward/" + name + "/mean"] = s.mean();
  if (flat.count() > 0) metrics["critic/groups_without_variance"] = flat.mean();
  metrics["replay/groups_taken"] = static_cast<double>(groups.size());
}

void report_staleness(const std::vector<data::Group>& groups, int64_t version, Metrics& metrics) {
  Summary behind;
  for (const data::Group& group : groups)
    for (const data::Sample& sample : group.samples)
      if (!sample.segments.empty())
        behind.add(static_cast<double>(version - sample.segments.front().version));
  if (behind.count() == 0) return;
  metrics["replay/staleness/mean"] = behind.mean();
  metrics["replay/staleness/max"] = behind.max();
}

std::string headline(const Metrics& metrics) {
  std::string text = metrics.contains("critic/accuracy") ? "" : "nothing judged";
  const auto add = [&](const char* name, const char* form, double factor = 1) {
    const auto it = metrics.find(name);
    if (it != metrics.end()) text += fmt::format(fmt::runtime(form), factor * it->second);
  };
  add("critic/rewards/mean", "reward {:.3f}");
  add("critic/accuracy", " right {:.3f}");
  add("response_length/mean", " length {:.1f}");
  add("training/rollout_probs_diff_max", " gap {:.1e}");
  const auto speed = metrics.find("rollout/tokens_per_second");
  if (speed != metrics.end())
    text += fmt::format(" {} tok/s", with_commas(static_cast<int64_t>(speed->second)));
  const auto errors = metrics.find("reward/error_share");
  if (errors != metrics.end() && errors->second > 0)
    add("reward/error_share", " | {:.1f} % not judged", 100);
  add("val/accuracy", " | held-out {:.3f}");
  return text;
}

}  // namespace longshot::loop
