#pragma once
// Warns about problems that ruin a run without an error: answers cut by the token limit, groups
// without variance, no reward at all, samples that could not be judged, a rollout that disagrees
// with the trainer, skipped optimizer steps. Each warning is repeated at most every `kQuiet`
// iterations.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"

namespace longshot::loop {

class Warnings {
 public:
  // Returns the warnings due for this iteration's metrics. `reward_failure` is the most frequent
  // reason why samples could not be judged. `cut_sampling`: a filter cut the iteration's sampling
  // distribution, so recorded log-probabilities differ from the trainer's by design.
  std::vector<std::string> check(int64_t iteration, const Metrics& metrics,
                                 const std::string& reward_failure = "", bool cut_sampling = false);

 private:
  static constexpr int64_t kQuiet = 20;
  std::optional<std::string> no_reward(const Metrics& metrics);
  bool is_due(const std::string& kind, int64_t iteration);

  std::map<std::string, int64_t> last_;
  int64_t iterations_without_reward_ = 0;
};

}  // namespace longshot::loop
