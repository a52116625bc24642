#pragma once
// AdamW (Loshchilov & Hutter, 1711.05101) with named state: moments belong to names, not to tensor
// identities, so they can be saved, checked and restored. Not thread-safe.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/weights.h"
#include "policy/options.h"

namespace longshot::policy {

class AdamW {
 public:
  // Moments start at 0 with each weight's shape and device.
  AdamW(const model::Weights& weights, OptimizerOptions options, int64_t total_steps);

  struct Step {
    double grad_norm = 0;  // global, before clipping
    double lr = 0;
    bool skipped = false;  // a gradient was NaN or infinite: weights and moments are as before
    std::string non_finite_name;  // the first such tensor
  };
  // Applies the accumulated gradients and leaves them undefined. A weight without a gradient is an
  // error.
  Result<Step> step(model::Weights& weights);

  // A step that has nothing to apply: only the learning-rate schedule goes on.
  void pass_step() { ++schedule_steps_; }

  // Moments to 0 and bias correction to its start; the learning-rate schedule goes on.
  void reset();

  // Every call of step(), skipped ones too, and of pass_step().
  int64_t schedule_steps() const { return schedule_steps_; }
  int64_t skipped_steps() const { return skipped_steps_; }

  // DIRECTORY/optimizer.safetensors with f32 tensors "exp_avg/<name>" and "exp_avg_sq/<name>", and
  // the counters in DIRECTORY/trainer.json. load() restores bit for bit; other names or shapes are
  // errors that name the tensor.
  Status save(const std::string& directory) const;
  Status load(const std::string& directory);

 private:
  struct Moments {
    std::string name;
    at::Tensor exp_avg, exp_avg_sq;  // f32, on the weight's device
  };
  void update(at::Tensor& weight, const at::Tensor& grad, Moments& moments, double lr,
              double grad_scale);

  OptimizerOptions options_;
  int64_t total_steps_;
  int64_t schedule_steps_ = 0;
  int64_t moment_steps_ = 0;  // since the last reset: bias correction
  int64_t skipped_steps_ = 0;
  std::vector<Moments> moments_;  // in the order of the weights
};

}  // namespace longshot::policy
