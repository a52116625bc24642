#pragma once
// Thresholds beyond which a metric of a run deserves a warning, in the log during the run and in
// the report.

#include <cstdint>

namespace longshot::run_limits {

constexpr double kCutShare = 0.2;         // of responses, response_length/clip_ratio
constexpr double kFlatShare = 0.9;        // of groups, critic/groups_without_variance
constexpr int64_t kSilentIterations = 3;  // consecutive iterations without any reward
constexpr double kLogprobGap = 0.05;      // |log pi_rollout - log pi_trainer|, mean, nats

}  // namespace longshot::run_limits
