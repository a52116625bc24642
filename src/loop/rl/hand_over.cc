#include "loop/rl/hand_over.h"

#include <malloc.h>

#include <vector>

#include "base/os/clock.h"
#include "base/os/machine.h"
#include "loop/rl/iteration_report.h"

namespace longshot::loop {

Result<HandOver> HandOver::create(const config::HybridOptions& options,
                                  const std::string& run_folder, rollout::Generator& rollout,
                                  train::TrainableModel& model) {
  HandOver out;
  out.options_ = options;
  out.rollout_ = &rollout;
  out.model_ = &model;
  const std::string folder = options.folder.empty() ? run_folder : options.folder;
  const Status set = model.set_offload(folder, options.optimizer_offload, options.param_offload);
  if (!set.ok()) return invalid_argument("hybrid.offload_dir: " + set.message());
  return out;
}

Status HandOver::to_trainer(Metrics& metrics) {
  metrics["memory/peak_rollout_gb"] = take_peak_memory_gib();
  if (!options_.on()) return ok_status();
  Timer timer(metrics);
  release();
  timer.lap("timing_s/release");
  LS_RETURN_IF_ERROR(model_->onload());
  timer.lap("timing_s/onload");
  return ok_status();
}

Status HandOver::to_rollout(const std::function<Status()>& publish, Metrics& metrics) {
  LS_RETURN_IF_ERROR(options_.on() ? offload_around(publish, metrics) : publish());
  metrics["memory/peak_update_gb"] = take_peak_memory_gib();
  return ok_status();
}

// The moments go before the weights are handed over, because the rollout's copy needs the room.
Status HandOver::offload_around(const std::function<Status()>& publish, Metrics& metrics) {
  const Stopwatch before;
  LS_RETURN_IF_ERROR(offload_moments());
  const double seconds = before.seconds();
  LS_RETURN_IF_ERROR(publish());
  const Stopwatch after;
  LS_RETURN_IF_ERROR(model_->offload_weights());
  metrics["timing_s/offload"] = seconds + after.seconds();
  return ok_status();
}

void HandOver::release() {
  if (options_.free_cache_engine) rollout_->release();
  ::malloc_trim(0);
}

Status HandOver::offload_moments() {
  LS_RETURN_IF_ERROR(model_->offload_moments());
  ::malloc_trim(0);
  return ok_status();
}

Status HandOver::with_state(int64_t version, const std::function<Status()>& save) {
  if (!model_->is_offloaded()) return save();
  release();
  LS_RETURN_IF_ERROR(model_->onload());
  LS_RETURN_IF_ERROR(save());
  LS_RETURN_IF_ERROR(offload_moments());
  if (options_.free_cache_engine) {
    std::vector<at::Tensor> copies;
    LS_RETURN_IF_ERROR(rollout_->load_weights(model_->weights().view(version, copies)));
  }
  return model_->offload_weights();
}

}  // namespace longshot::loop
