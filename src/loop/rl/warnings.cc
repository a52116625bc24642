#include "loop/rl/warnings.h"

#include <fmt/format.h>

#include "base/os/run_limits.h"

namespace longshot::loop {
namespace {

using namespace run_limits;  // NOLINT: constants

double value(const Metrics& metrics, const std::string& name) {
  const auto it = metrics.find(name);
  return it == metrics.end() ? 0.0 : it->second;
}

std::string missing_text(const Metrics& m) {
  return fmt::format(
      "{:.0f} groups with variance were missing after {:.0f} rounds of generation: choose problems "
      "of another difficulty, or raise algorithm.filter_groups.max_num_gen_batches",
      value(m, "train/groups_missing"), value(m, "train/num_gen_batches"));
}

}  // namespace

void Warnings::warn(const std::string& kind, const std::string& text,
                    std::vector<std::string>& out) {
  const auto it = last_.find(kind);
  if (it != last_.end() && iteration_ - it->second < kQuiet) return;
  last_[kind] = iteration_;
  out.push_back(text);
}

std::vector<std::string> Warnings::check(int64_t iteration, const Metrics& m,
                                         const std::string& reward_failure, bool cut_sampling) {
  std::vector<std::string> out;
  iteration_ = iteration;
  const double cut = value(m, "response_length/clip_ratio");
  if (cut > kCutShare) {
    warn("cut",
         fmt::format("{:.0f} % {}; their reward says little about the model: raise it, or set "
                     "rollout.segment_tokens for partial rollouts",
                     100 * cut, kCutWords),
         out);
  }
  const double flat = value(m, "critic/groups_without_variance");
  if (flat > kFlatShare) {
    warn("flat",
         fmt::format("{:.0f} % {} (all right or all wrong) and do not change the policy: choose "
                     "problems of another difficulty, or raise rollout.n",
                     100 * flat, kFlatWords),
         out);
  }
  if (value(m, "train/groups_missing") > 0 && value(m, "rollout/partial_share") == 0)
    warn("missing", missing_text(m), out);
  const bool judged = m.contains("critic/score/max");
  const bool silent = value(m, "critic/score/max") == 0 && value(m, "critic/score/min") == 0;
  if (judged) iterations_without_reward_ = silent ? iterations_without_reward_ + 1 : 0;
  if (judged && iterations_without_reward_ >= kSilentIterations) {
    warn("silent",
         fmt::format("{} {} iterations: look at the samples and at the answer format the reward "
                     "expects",
                     kSilentWords, iterations_without_reward_),
         out);
  }
  const double errors = value(m, "reward/error_share");
  if (errors > 0) {
    warn("errors",
         fmt::format("{:.1f} % {} and were excluded{}; samples/ has all reasons", 100 * errors,
                     kErrorWords,
                     reward_failure.empty() ? "" : ", most of them because: " + reward_failure),
         out);
  }
  const double gap = value(m, "training/rollout_probs_diff_mean");
  if (gap > kLogprobGap && !cut_sampling) {
    warn("gap", fmt::format("{} {:.3g}; the gradient is biased", kGapWords, gap), out);
  }
  if (value(m, "actor/skipped_steps") > 0) {
    warn("skipped", fmt::format("an optimizer step was {}", kSkippedWords), out);
  }
  return out;
}

}  // namespace longshot::loop
