#pragma once
// Hybrid deployment (the report's section 2.6.3): the trainer and the rollout share the memory of a
// machine and take turns. Without section [hybrid] both keep what they have.

#include <cstdint>
#include <functional>
#include <string>

#include "base/metrics.h"
#include "base/status.h"
#include "config/sections/hybrid.h"
#include "rollout/engine.h"
#include "train/trainable_model.h"

namespace longshot::loop {

// Not thread-safe.
class HandOver {
 public:
  HandOver() = default;
  // `run_folder`: where the files are without hybrid.offload_dir. `rollout` and `model` are
  // borrowed. Errors: no file can be made there, or it has no room.
  static Result<HandOver> create(const config::HybridOptions& options,
                                 const std::string& run_folder, rollout::Generator& rollout,
                                 train::TrainableModel& model);

  // Before an update: frees the rollout's memory and reads the trainer's state back. Metrics:
  // timing_s/release, timing_s/onload, memory/peak_rollout_gb (GiB, since the update before). After
  // an error the trainer's state is lost.
  Status to_trainer(Metrics& metrics);
  // After an update: `publish` hands the weights to the rollout, and the trainer's state is written
  // to its file. Metrics: timing_s/offload, memory/peak_update_gb (GiB, since the rollout).
  Status to_rollout(const std::function<Status()>& publish, Metrics& metrics);
  // Calls `save`, which writes a checkpoint, with the trainer's state in memory. The rollout is
  // released meanwhile and gets its weights, those of `version`, again.
  Status with_state(int64_t version, const std::function<Status()>& save);

 private:
  Status offload_around(const std::function<Status()>& publish, Metrics& metrics);
  void release();
  Status offload_moments();

  config::HybridOptions options_;
  rollout::Generator* rollout_ = nullptr;
  train::TrainableModel* model_ = nullptr;
};

}  // namespace longshot::loop
