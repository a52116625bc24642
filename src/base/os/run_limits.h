#pragma once
// Where a metric of a run is worth a warning: for the log while the run goes, and for the report.

#include <cstdint>

namespace longshot::run_limits {

constexpr double kCutShare = 0.2;         // of responses, response_length/clip_ratio
constexpr double kFlatShare = 0.9;        // of groups, critic/groups_without_variance
constexpr int64_t kSilentIterations = 3;  // one after another without any reward
constexpr double kLogprobGap = 0.05;      // |log pi_rollout - log pi_trainer|, mean, nats

}  // namespace longshot::run_limits
