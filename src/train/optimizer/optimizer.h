#pragma once
// AdamW (Loshchilov & Hutter, 1711.05101) with named state: moments are keyed by weight name, not
// by tensor identity, so they can be saved, checked and restored. The processes of a gang share the
// moments: each has those of its shard of the weights, updates it, and gets the others. Not
// thread-safe.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/weights.h"
#include "train/optimizer/moments.h"
#include "train/optimizer/saved_moments.h"
#include "train/options.h"
#include "train/shard/exchange.h"
#include "train/shard/lanes.h"

namespace longshot::train {

class AdamW {
 public:
  // Creates moments of 0 for every trainable weight, or for this process's shard of them, with its
  // shape and device.
  AdamW(const model::Weights& weights, OptimizerOptions options, int64_t total_steps,
        const Lanes& lanes = {});

  struct StepOutcome {
    double grad_norm = 0;  // global, before clipping
    double lr = 0;
    bool skipped = false;         // a gradient was NaN or infinite: only a due reset() took effect
    std::string non_finite_name;  // the first such tensor
  };
  // Applies the sum of the gradients that the processes of the gang have accumulated, and leaves
  // them undefined. A process without any gradient takes part if another has one. A trainable
  // weight without a gradient is an error; nothing is changed then. After an error of the gang the
  // weights may be half updated.
  Result<StepOutcome> step(model::Weights& weights);

  // Counts a step without a gradient: the learning-rate schedule continues, and a due reset() takes
  // effect.
  void pass_step();

  // Replaces the options, whose format of the moments must stay, and begins the learning rate's
  // schedule anew: the step with schedule_steps() == `first_step` is its step 0, and it has
  // `total_steps`.
  void begin_schedule(OptimizerOptions options, int64_t first_step, int64_t total_steps);

  // Sets moments to 0 and restarts bias correction; the learning-rate schedule continues. Takes
  // effect with the next step; until then save() writes the state before the reset.
  void reset() { counters_.reset_due = true; }

  // Number of successful calls of step(), including skipped steps, and of pass_step().
  int64_t schedule_steps() const { return counters_.schedule_steps; }
  int64_t skipped_steps() const { return counters_.skipped_steps; }

  const OptimizerOptions& options() const { return options_; }
  int64_t moment_bytes() const;

  // For Undo (train/optimizer/undo.h): the moments themselves, and everything else that a step
  // changes except the weights.
  struct Counters {
    int64_t schedule_steps = 0;
    int64_t moment_steps = 0;  // since the last reset: bias correction
    int64_t skipped_steps = 0;
    int64_t moment_resets = 0;  // with the steps since: key of the stochastic rounding
    bool reset_due = false;
  };
  std::vector<at::Tensor> moment_tensors() const;
  const std::vector<Moments>& moments() const { return moments_; }
  Counters counters() const { return counters_; }
  void take_back(const Counters& counters, bool clear_moments);

  // DIRECTORY/optimizer.safetensors with tensors "exp_avg/<name>" and "exp_avg_sq/<name>" in
  // optim.moments' format, and the counters in DIRECTORY/trainer.json. Several processes write a
  // file each to the same folder, and the counters name them; all of them must call save(), and it
  // fails for all if it fails for one. load() restores bit for bit, for any number of processes;
  // differing names, shapes or formats are errors that name the tensor.
  Status save(const std::string& directory) const;
  Status load(const std::string& directory);

 private:
  using Tensors = std::vector<at::Tensor>;  // [trainable weights]
  // Writes the global gradient norm and the name of the first non-finite gradient to `step`.
  Status measure(const Tensors& gradients, StepOutcome& step);
  void apply(Tensors& weights, const Tensors& gradients, const StepOutcome& step);
  void begin_step();
  Status save_counters(const std::string& directory) const;

  OptimizerOptions options_;
  int64_t first_step_ = 0, total_steps_;  // of the schedule
  Counters counters_;
  std::vector<TrainedWeight> weights_;
  ShardExchange exchange_;
  std::vector<Moments> moments_;  // of the pieces of this process's shard, in their order
};

}  // namespace longshot::train
