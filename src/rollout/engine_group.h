#pragma once
// Several engines in one process, each on a thread of its own; they never wait for one another's
// steps. One engine with all threads reads the weights once per step and is never idle. Several
// engines pay where sharing one step is costly: with threads far from each other (sockets), or with
// many short steps. Each engine has its own copy of the weights.

#include <memory>
#include <vector>

#include "rollout/engine.h"

namespace longshot::rollout {

// Not thread-safe.
class EngineGroup final : public Generator {
 public:
  // At least one engine; all must be idle.
  explicit EngineGroup(std::vector<std::unique_ptr<Engine>> engines);

  // Each group of jobs goes to the engine with the fewest samples so far, and a token budget is
  // divided into equal parts. So for a given number of engines, the division and where each sample
  // is cut depend only on the jobs. A sample's tokens do not depend on the number of engines; where
  // a budget cuts them does. After an error of one engine the others stop.
  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress) override;

  // Engine's figures, summed or averaged, and two more: rollout/workers, the number of engines, and
  // perf/rollout_idle_share, the share of the engines' time in which they had nothing to do.
  const Metrics& metrics() const override { return metrics_; }

  Status load_weights(const model::WeightsView& weights) override;
  void release() override {
    for (const auto& engine : engines_) engine->release();
  }
  int workers() const { return static_cast<int>(engines_.size()); }

 private:
  std::vector<std::unique_ptr<Engine>> engines_;
  Metrics metrics_;
};

}  // namespace longshot::rollout
