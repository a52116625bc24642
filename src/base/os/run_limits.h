#pragma once
// Thresholds beyond which a metric of a run deserves a warning, in the log during the run and in
// the report, and the words of those warnings.

#include <cstdint>

namespace longshot::run_limits {

constexpr double kCutShare = 0.2;         // of responses, response_length/clip_ratio
constexpr double kFlatShare = 0.9;        // of groups, critic/groups_without_variance
constexpr int64_t kSilentIterations = 3;  // consecutive iterations without any reward
constexpr double kLogprobGap = 0.05;      // |log pi_rollout - log pi_trainer|, mean, nats

// Words of each warning. By them the report recognizes a warning that repeats one of its own
// findings.
constexpr const char* kCutWords = "of the answers were cut by data.max_response_length";
constexpr const char* kFlatWords = "of the groups have no variance";
constexpr const char* kSilentWords = "no reward was other than zero for";
constexpr const char* kErrorWords = "of the samples could not be judged";
constexpr const char* kGapWords = "rollout and trainer disagree: mean |log-probability gap|";
constexpr const char* kSkippedWords = "skipped because a gradient was not finite";
constexpr const char* kStepWords = "skipped: the gradient of";  // in the optimizer's own warning

// In the error that ends a run whose model gives no numbers any more.
constexpr const char* kBrokenWords = "are not finite; its weights are broken";

}  // namespace longshot::run_limits
