#pragma once
// What every trainer has: a model's weights, the compute of its passes, and its optimizer. A
// trainer (policy/, supervised/, preference/) owns one and adds its rows and its loss. Only policy/
// cuts its steps into lanes.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/metrics.h"
#include "base/status.h"
#include "model/compute.h"
#include "model/weights.h"
#include "train/offload/offload.h"
#include "train/optimizer/optimizer.h"
#include "train/optimizer/undo.h"
#include "train/options.h"
#include "train/shard/lanes.h"

namespace longshot::train {

// Not thread-safe. Stays where it was created, because its compute points to its weights.
class TrainableModel {
 public:
  TrainableModel(model::Weights weights, OptimizerOptions optimizer, const ComputeOptions& compute,
                 int64_t total_steps, Lanes lanes = {});

  model::Weights& weights() { return weights_; }
  const model::Weights& weights() const { return weights_; }
  model::Compute& compute() { return *compute_; }
  AdamW& optimizer() { return optimizer_; }
  const AdamW& optimizer() const { return optimizer_; }
  const Lanes& lanes() const { return lanes_; }
  int64_t steps() const { return optimizer_.schedule_steps(); }  // of the optimizer

  // Takes one optimizer step: `add_gradients` starts from weights without gradients. Metrics:
  // train/grad_norm, train/lr, train/skipped_steps, perf/train_tokens_per_second, and those of
  // report_cost(). The caller must pass optimizer options within the ranges of their keys. Errors:
  // those of AdamW::step().
  struct StepWork {
    double flops = 0;
    int64_t tokens = 0;  // for the speed
  };
  Result<Metrics> step(const std::function<StepWork()>& add_gradients);

  // Runs an update of several optimizer steps. If it fails or throws, everything that they changed
  // gets its value from before, provided that memory allowed a copy (optimizer/undo.h). moments:
  // whether the update continues with the optimizer's moments; if not, they become 0.
  Result<Metrics> undoable(bool moments, const std::function<Result<Metrics>()>& update);

  // Measures the floating-point operations per second that the machine reaches in a large product
  // in the format of the passes (pass/gemm_peak.h). Without it there is no perf/mfu/actor.
  void measure_peak();
  // perf/train_flops: `flops`, the total of all passes. perf/mfu/actor: the achieved share of the
  // peak, if the peak is known. memory/weights_gb, gradients_gb, moments_gb, activations_gb: GiB of
  // this process; gradients include those of lanes that are not added yet, activations are those of
  // the largest pass so far.
  void report_cost(double flops, double seconds, Metrics& metrics) const;

  // From now on the moments, the weights or both can be offloaded to files of `folder`. Call it
  // once, before the first offload. Errors: those of Spill::create().
  Status set_offload(const std::string& folder, bool moments, bool weights);
  // Write and free what set_offload() named, and free the memory of the passes. The weights must
  // not be used while they are away. Only step(), save_state() and load_state() use the moments.
  Status offload_moments();
  Status offload_weights();
  // Reads everything back. Error: some of it could not be read, and the state is lost.
  Status onload();
  bool is_offloaded() const;

  // Bytes that a checkpoint needs: the model, or only its adapter, and the moments.
  int64_t state_bytes() const;
  // Save and restore moments and step count (AdamW::save()). The caller saves the weights as a
  // model directory (f32).
  Status save_state(const std::string& directory) const;
  Status load_state(const std::string& directory);

 private:
  model::Weights weights_;
  const NumberFormat dtype_;  // of the products
  const Lanes lanes_;
  AdamW optimizer_;
  std::unique_ptr<model::Compute> compute_;
  Undo undo_;
  std::optional<Offload> away_moments_, away_weights_;  // empty: they stay in memory
  double peak_flops_ = 0;                               // 0: unknown
};

}  // namespace longshot::train
