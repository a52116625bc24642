#pragma once
// Rollout workers in one process: engines that generate on threads of their own and never wait for one another's
// steps. One engine with all threads reads the weights once a step and is never idle; several pay where threads far from
// each other (sockets) or many short steps make sharing one step costly. Each holds the weights once more.

#include <memory>
#include <vector>

#include "rollout/engine.h"

namespace longshot::rollout {

// Not thread-safe.
class EngineGroup final : public Generator {
 public:
  // At least one; idle.
  explicit EngineGroup(std::vector<std::unique_ptr<Engine>> engines);

  // Groups go to the workers in turn, to the one with the fewest samples so far, and a token budget is shared out in
  // equal parts: who gets which, and so where each sample is cut, depends on the jobs alone. A sample's tokens do not
  // depend on the number of workers; where a budget cuts it does. After an error of one worker the others stop.
  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress) override;

  // Engine's figures, added up or averaged, and rollout/workers, perf/rollout_idle_share: the part of the workers' time in
  // which they had nothing to do.
  const Metrics& metrics() const override { return metrics_; }

  Status load_weights(const model::WeightsView& weights) override;
  int workers() const { return static_cast<int>(engines_.size()); }

 private:
  std::vector<std::unique_ptr<Engine>> engines_;
  Metrics metrics_;
};

}  // namespace longshot::rollout
