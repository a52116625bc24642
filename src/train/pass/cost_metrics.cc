#include "train/pass/cost_metrics.h"
#include "base/bytes.h"

namespace longshot::train {
namespace {}  // namespace

double pass_flops(const model::Weights& weights, const model::Work& work, bool backward) {
  const model::ModelConfig& config = weights.config();
  if (!backward) return model::forward_flops(config, work);
  const double flops = model::training_flops(config, work);
  if (weights.lora().rank == 0) return flops;
  return flops - model::forward_flops(config, {.tokens = work.tokens, .targets = work.targets});
}

void report_frozen(const model::Weights& frozen, const Compute& compute,
                   const model::Weights& policy, Metrics& metrics) {
  auto bytes = static_cast<double>(compute.activation_bytes());
  for (const auto& [name, tensor] : frozen.tensors()) {
    const at::Tensor* own = policy.find(name);
    const bool shared = own != nullptr && own->const_data_ptr() == tensor.const_data_ptr();
    bytes += shared ? 0.0 : static_cast<double>(tensor.nbytes());
  }
  metrics["memory/kl_model_gb"] = bytes / kGiB;
}

void report_cost(const Training& t, double flops, double seconds, Metrics& m) {
  m["perf/train_flops"] = flops;
  if (t.peak_flops > 0) m["perf/mfu/actor"] = flops / seconds / t.peak_flops;
  double weights = 0, trained = 0;
  for (const auto& [name, tensor] : t.weights.tensors()) {
    const auto bytes = static_cast<double>(tensor.nbytes());
    weights += bytes;
    trained += tensor.requires_grad() ? bytes : 0;
  }
  m["memory/weights_gb"] = weights / kGiB;
  m["memory/gradients_gb"] = trained / kGiB;
  m["memory/moments_gb"] = static_cast<double>(t.optimizer.moment_bytes()) / kGiB;
  m["memory/activations_gb"] = static_cast<double>(t.compute.activation_bytes()) / kGiB;
}

}  // namespace longshot::train
