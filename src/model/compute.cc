#include "model/compute.h"

#include <ATen/Parallel.h>

#include "base/os/machine.h"
#include "model/cpu_compute.h"
#include "model/torch/torch_compute.h"

namespace longshot::model {
namespace {

NumberFormat products_of(const ComputeOptions& options) {
  return options.dtype == "bfloat16" ? NumberFormat::bf16 : NumberFormat::f32;
}

bool allows_cpu_kernels(const ComputeOptions& options) {
  return options.kernels != "libtorch";
}

std::optional<cpu::Checkpointing> checkpointing_of(const ComputeOptions& options) {
  if (options.checkpointing == "none") return cpu::Checkpointing::none;
  if (options.checkpointing == "selective") return cpu::Checkpointing::selective;
  if (options.checkpointing == "full") return cpu::Checkpointing::full;
  return std::nullopt;
}

int64_t activation_limit(const ComputeOptions& options) {
  if (options.activation_gib > 0)
    return static_cast<int64_t>(options.activation_gib * (int64_t{1} << 30));
  return static_cast<int64_t>(usable_memory(inspect_machine()) / 2);
}

CpuCompute::Options cpu_options(const ComputeOptions& options, int threads) {
  return {.threads = threads > 0 ? threads : at::get_num_threads(),
          .products = products_of(options),
          .checkpointing = checkpointing_of(options),
          .activation_limit = activation_limit(options)};
}

}  // namespace

std::unique_ptr<Compute> make_compute(Weights& weights, const ComputeOptions& options,
                                      int threads) {
  if (allows_cpu_kernels(options) && CpuCompute::supports(weights))
    return std::make_unique<CpuCompute>(weights, cpu_options(options, threads));
  return std::make_unique<TorchCompute>(weights, products_of(options));
}

PassSize forecast_pass_size(const ComputeOptions& options, const std::string& device,
                            int64_t wanted) {
  const bool cpu = allows_cpu_kernels(options) && device == "cpu";
  return cpu ? CpuCompute::size_of_pass(wanted) : TorchCompute::size_of_pass(wanted);
}

std::optional<int64_t> forecast_activation_bytes(const ModelConfig& config,
                                                 const ComputeOptions& options,
                                                 const std::string& device, int64_t tokens,
                                                 int64_t targets, int lora_rank) {
  if (!allows_cpu_kernels(options) || device != "cpu") return std::nullopt;
  return CpuCompute::forecast_bytes(config, cpu_options(options, 0), tokens, targets, lora_rank);
}

}  // namespace longshot::model
