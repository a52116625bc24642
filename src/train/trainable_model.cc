#include "train/trainable_model.h"

#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/os/clock.h"
#include "model/torch/exceptions.h"
#include "train/pass/gemm_peak.h"

namespace longshot::train {

TrainableModel::TrainableModel(model::Weights weights, OptimizerOptions optimizer,
                               const ComputeOptions& compute, int64_t total_steps, Lanes lanes)
    : weights_(std::move(weights)),
      dtype_(compute.dtype),
      lanes_(std::move(lanes)),
      optimizer_(weights_, std::move(optimizer), total_steps, lanes_),
      compute_(model::make_compute(weights_, compute)) {}

Result<Metrics> TrainableModel::step(const std::function<StepWork()>& add_gradients) {
  const Stopwatch watch;
  weights_.zero_grad();
  const StepWork work = add_gradients();
  LS_ASSIGN_OR_RETURN(const AdamW::StepOutcome step, optimizer_.step(weights_));
  Metrics metrics{
      {"train/lr", step.lr},
      {"train/skipped_steps", step.skipped ? 1.0 : 0.0},
      {"perf/train_tokens_per_second", static_cast<double>(work.tokens) / watch.seconds()}};
  if (!step.skipped) metrics["train/grad_norm"] = step.grad_norm;
  report_cost(work.flops, watch.seconds(), metrics);
  return metrics;
}

Result<Metrics> TrainableModel::undoable(bool moments,
                                         const std::function<Result<Metrics>()>& update) {
  undo_.take(weights_, optimizer_, moments);
  try {
    Result<Metrics> metrics = update();
    if (!metrics.ok()) undo_.restore(weights_, optimizer_);
    return metrics;
  } catch (...) {
    undo_.restore(weights_, optimizer_);
    throw;
  }
}

void TrainableModel::measure_peak() {
  peak_flops_ = measure_gemm_flops(weights_.device().str(), dtype_);
}

void TrainableModel::report_cost(double flops, double seconds, Metrics& m) const {
  m["perf/train_flops"] = flops;
  if (peak_flops_ > 0 && flops > 0) m["perf/mfu/actor"] = flops / seconds / peak_flops_;
  double weights = 0, trained = 0;
  for (const auto& [name, tensor] : weights_.tensors()) {
    const auto bytes = static_cast<double>(tensor.nbytes());
    weights += bytes;
    trained += tensor.requires_grad() ? bytes : 0;
  }
  m["memory/weights_gb"] = weights / kGiB;
  m["memory/gradients_gb"] = trained * lanes_.gradients() / kGiB;
  m["memory/moments_gb"] = static_cast<double>(optimizer_.moment_bytes()) / kGiB;
  m["memory/activations_gb"] = static_cast<double>(compute_->activation_bytes()) / kGiB;
}

Status TrainableModel::set_offload(const std::string& folder, bool moments, bool weights) {
  if (moments) {
    LS_ASSIGN_OR_RETURN(away_moments_, Offload::create(folder, optimizer_.moment_tensors()));
  }
  if (!weights) return ok_status();
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : weights_.tensors()) tensors.push_back(tensor);
  LS_ASSIGN_OR_RETURN(away_weights_, Offload::create(folder, tensors));
  return ok_status();
}

Status TrainableModel::offload_moments() {
  compute_->free_activations();
  undo_.forget();
  return away_moments_ ? away_moments_->out() : ok_status();
}

Status TrainableModel::offload_weights() {
  return away_weights_ ? away_weights_->out() : ok_status();
}

Status TrainableModel::onload() {
  if (away_weights_) LS_RETURN_IF_ERROR(away_weights_->in());
  return away_moments_ ? away_moments_->in() : ok_status();
}

bool TrainableModel::is_offloaded() const {
  return (away_moments_ && away_moments_->is_out()) || (away_weights_ && away_weights_->is_out());
}

int64_t TrainableModel::state_bytes() const {
  const int64_t saved = weights_.lora().rank > 0 ? weights_.trained_parameters()
                                                 : model::parameter_count(weights_.config());
  return saved * static_cast<int64_t>(sizeof(float)) + optimizer_.moment_bytes();
}

Status TrainableModel::save_state(const std::string& directory) const {
  return model::caught("saving the optimizer", [&] { return optimizer_.save(directory); });
}

Status TrainableModel::load_state(const std::string& directory) {
  return model::caught("loading the optimizer", [&] { return optimizer_.load(directory); });
}

}  // namespace longshot::train
