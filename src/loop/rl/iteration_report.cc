#include "loop/rl/iteration_report.h"

#include <fmt/format.h>

#include <map>

#include "base/progress_line.h"
#include "train/advantage/advantage.h"

namespace longshot::loop {

void report_samples(const std::vector<data::Sample>& samples,
                    const std::vector<data::Verdict>& verdicts, Metrics& metrics) {
  Summary length, prompt_length, cut, loops, partial, errors;
  for (size_t i = 0; i < samples.size(); ++i) {
    const data::Sample& s = samples[i];
    partial.add(s.finish == data::FinishReason::partial ? 1 : 0);
    if (s.finish == data::FinishReason::partial) continue;
    length.add(static_cast<double>(s.tokens.size()));
    prompt_length.add(static_cast<double>(s.prompt_tokens.size()));
    cut.add(s.finish == data::FinishReason::length ? 1 : 0);
    loops.add(s.finish == data::FinishReason::repetition ? 1 : 0);
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

}  // namespace longshot::loop
