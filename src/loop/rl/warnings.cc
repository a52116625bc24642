#include "loop/rl/warnings.h"

#include <fmt/format.h>

#include <utility>

#include "base/os/run_limits.h"

namespace longshot::loop {
namespace {

using namespace run_limits;  // NOLINT: constants

double value(const Metrics& metrics, const std::string& name) {
  const auto it = metrics.find(name);
  return it == metrics.end() ? 0.0 : it->second;
}

using Text = std::optional<std::string>;

Text cut_responses(const Metrics& m) {
  const double share = value(m, "response_length/clip_ratio");
  if (share <= kCutShare) return std::nullopt;
  return fmt::format(
      "{:.0f} % {}; their reward says little about the model: raise it, or set "
      "rollout.segment_tokens for partial rollouts",
      100 * share, kCutWords);
}

Text groups_without_variance(const Metrics& m) {
  const double share = value(m, "critic/groups_without_variance");
  if (share <= kFlatShare) return std::nullopt;
  return fmt::format(
      "{:.0f} % {} (all right or all wrong) and do not change the policy: choose problems of "
      "another difficulty, or raise rollout.n",
      100 * share, kFlatWords);
}

Text missing_groups(const Metrics& m) {
  const double missing = value(m, "train/groups_missing");
  if (missing <= 0 || value(m, "rollout/partial_share") != 0) return std::nullopt;
  return fmt::format(
      "{:.0f} groups with variance were missing after {:.0f} rounds of generation: choose problems "
      "of another difficulty, or raise algorithm.filter_groups.max_num_gen_batches",
      missing, value(m, "train/num_gen_batches"));
}

Text reward_errors(const Metrics& m, const std::string& reason) {
  const double share = value(m, "reward/error_share");
  if (share <= 0) return std::nullopt;
  return fmt::format("{:.1f} % {} and were excluded{}; samples/ has all reasons", 100 * share,
                     kErrorWords, reason.empty() ? "" : ", most of them because: " + reason);
}

Text logprob_gap(const Metrics& m, bool cut_sampling) {
  const double gap = value(m, "training/rollout_probs_diff_mean");
  if (cut_sampling || !(gap > kLogprobGap)) return std::nullopt;
  return fmt::format("{} {:.3g}; the gradient is biased", kGapWords, gap);
}

Text skipped_steps(const Metrics& m) {
  if (value(m, "actor/skipped_steps") <= 0) return std::nullopt;
  return fmt::format("an optimizer step was {}", kSkippedWords);
}

}  // namespace

Text Warnings::no_reward(const Metrics& m) {
  if (!m.contains("critic/score/max")) return std::nullopt;
  const bool silent = value(m, "critic/score/max") == 0 && value(m, "critic/score/min") == 0;
  iterations_without_reward_ = silent ? iterations_without_reward_ + 1 : 0;
  if (iterations_without_reward_ < kSilentIterations) return std::nullopt;
  return fmt::format(
      "{} {} iterations: look at the samples and at the answer format the reward expects",
      kSilentWords, iterations_without_reward_);
}

bool Warnings::is_due(const std::string& kind, int64_t iteration) {
  const auto it = last_.find(kind);
  if (it != last_.end() && iteration - it->second < kQuiet) return false;
  last_[kind] = iteration;
  return true;
}

std::vector<std::string> Warnings::check(int64_t iteration, const Metrics& m,
                                         const std::string& reward_failure, bool cut_sampling) {
  const std::pair<const char*, Text> found[] = {
      {"cut", cut_responses(m)},
      {"flat", groups_without_variance(m)},
      {"missing", missing_groups(m)},
      {"silent", no_reward(m)},
      {"errors", reward_errors(m, reward_failure)},
      {"gap", logprob_gap(m, cut_sampling)},
      {"skipped", skipped_steps(m)},
  };
  std::vector<std::string> due;
  for (const auto& [kind, text] : found) {
    if (text && is_due(kind, iteration)) due.push_back(*text);
  }
  return due;
}

}  // namespace longshot::loop
