#include "policy/cost_metrics.h"

namespace longshot::policy {

void report_cost(const Training& t, const model::Work& work, double seconds, Metrics& m) {
  constexpr double kGiB = 1 << 30;
  const model::ModelConfig& config = t.weights.config();
  double flops = model::training_flops(config, work);
  if (t.weights.lora().rank > 0)
    flops -= model::forward_flops(config, {.tokens = work.tokens, .targets = work.targets});
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

}  // namespace longshot::policy
