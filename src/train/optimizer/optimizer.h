#pragma once
// AdamW (Loshchilov & Hutter, 1711.05101) with named state: moments belong to names, not to tensor
// identities, so they can be saved, checked and restored. Not thread-safe.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/weights.h"
#include "train/optimizer/moments.h"
#include "train/options.h"

namespace longshot::train {

class AdamW {
 public:
  // Moments of every weight that learns start at 0, with its shape and device.
  AdamW(const model::Weights& weights, OptimizerOptions options, int64_t total_steps);

  struct Step {
    double grad_norm = 0;  // global, before clipping
    double lr = 0;
    bool skipped = false;  // a gradient was NaN or infinite: weights and moments are as before
    std::string non_finite_name;  // the first such tensor
  };
  // Applies the accumulated gradients and leaves them undefined. A weight that learns and has no gradient is an error.
  Result<Step> step(model::Weights& weights);

  // A step that has nothing to apply: only the learning-rate schedule continues.
  void pass_step();

  // Moments to 0 and bias correction to its start; the learning-rate schedule continues. Takes effect
  // with the next step: until then the state, as save() writes it, is that before.
  void reset() { counters_.reset_due = true; }

  // Every call of step(), skipped ones too, and of pass_step().
  int64_t schedule_steps() const { return counters_.schedule_steps; }
  int64_t skipped_steps() const { return counters_.skipped_steps; }

  int64_t moment_bytes() const;

  // For Undo (train/optimizer/undo.h): the moments themselves, and all else that a step changes.
  struct Counters {
    int64_t schedule_steps = 0;
    int64_t moment_steps = 0;  // since the last reset: bias correction
    int64_t skipped_steps = 0;
    int64_t moment_resets = 0;  // key, with the steps since, of random rounding
    bool reset_due = false;
  };
  std::vector<at::Tensor> moment_tensors() const;
  Counters counters() const { return counters_; }
  void take_back(const Counters& counters, bool clear_moments);

  // DIRECTORY/optimizer.safetensors with tensors "exp_avg/<name>" and "exp_avg_sq/<name>" in optim.moments' format, and
  // the counters in DIRECTORY/trainer.json. load() restores bit for bit; other names, shapes or formats are errors that
  // name the tensor.
  Status save(const std::string& directory) const;
  Status load(const std::string& directory);

 private:
  // The gradients' global norm, and the first that is not finite.
  Status measure(const model::Weights& weights, Step& step) const;
  void apply(model::Weights& weights, const Step& step);
  void begin_step();

  OptimizerOptions options_;
  int64_t total_steps_;
  Counters counters_;
  std::vector<Moments> moments_;  // in the order of the weights that learn
};

}  // namespace longshot::train
