#pragma once
// Tries the parts of a run for some seconds, and extrapolates to an iteration.

#include <algorithm>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "config/config.h"
#include "data/types.h"
#include "loop/forecast/memory_forecast.h"
#include "loop/rl/parts.h"
#include "loop/simulation/round.h"

namespace longshot::loop {

class Trial {
 public:
  // `flat_groups`: share of the groups of an update that have no gradient. The references must
  // outlive the trial.
  Trial(const config::TrainConfig& config, double flat_groups, Parts& parts)
      : config_(config), flat_groups_(flat_groups), parts_(parts) {}

  // `update`: the size of the batch that is trained on. Errors are those of the parts.
  Status run(const IterationSize& rollout, const IterationSize& update);
  // What decode steps of few and of many samples take. After run().
  Result<StepCosts> measure_steps(const IterationSize& size);

  // Predictions for one iteration.
  double rollout_seconds(const IterationSize& size) const;
  double update_seconds(const IterationSize& size) const;
  bool tried_whole_rollout() const { return whole_rollout_ > 0; }
  double publish_seconds() const { return publish_seconds_; }
  double value(const std::string& metric) const { return metrics_.at(metric); }

 private:
  Status try_rollout(const IterationSize& size);
  Status try_update(const IterationSize& size);
  Status try_whole(const IterationSize& rollout, const IterationSize& update);
  Result<double> generate(const std::vector<data::Draw>& draws, int samples, int length);
  Result<double> step_seconds(int running, StepCosts& costs);
  Result<double> update(int groups, int samples, int length);
  int in_flight(const IterationSize& size) const {
    return std::min(config_.rollout.max_concurrent, static_cast<int>(size.samples()));
  }
  double attention_seconds(double context) const;
  void record_logprobs(data::Sample& sample);
  const model::ModelConfig& model() const { return parts_.trainer->model().weights().config(); }

  const config::TrainConfig& config_;
  const double flat_groups_;
  Parts& parts_;
  Metrics metrics_;
  double publish_seconds_ = 0;
  double peak_flops_ = 0;  // f32, the number format of the rollout's attention
  double seconds_per_token_ = 0, seconds_per_prompt_token_ = 0;
  double update_overhead_ = 0, overhead_flops_ = 0, update_rate_ = 1;
  double whole_rollout_ = 0, whole_update_ = 0;  // 0: too long to be tried
};

}  // namespace longshot::loop
