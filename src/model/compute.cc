#include "model/compute.h"

#include <ATen/Parallel.h>

#include "base/os/machine.h"
#include "model/cpu_compute.h"
#include "model/torch/torch_compute.h"

namespace longshot::model {
namespace {

std::optional<cpu::Checkpointing> checkpointing_of(CheckpointingChoice choice) {
  switch (choice) {
    case CheckpointingChoice::automatic:
      return std::nullopt;
    case CheckpointingChoice::none:
      return cpu::Checkpointing::none;
    case CheckpointingChoice::selective:
      return cpu::Checkpointing::selective;
    case CheckpointingChoice::full:
      return cpu::Checkpointing::full;
  }
  return std::nullopt;
}

int64_t activation_limit(const ComputeOptions& options) {
  if (options.activation_gib > 0)
    return static_cast<int64_t>(options.activation_gib * (int64_t{1} << 30));
  return static_cast<int64_t>(usable_memory(inspect_machine()) / 2);
}

CpuCompute::Options cpu_options(const ComputeOptions& options, int threads) {
  return {.threads = threads > 0 ? threads : at::get_num_threads(),
          .products = options.dtype,
          .checkpointing = checkpointing_of(options.checkpointing),
          .activation_limit = activation_limit(options)};
}

}  // namespace

std::unique_ptr<Compute> make_compute(Weights& weights, const ComputeOptions& options,
                                      int threads) {
  if (options.kernels != KernelChoice::libtorch && CpuCompute::supports(weights))
    return std::make_unique<CpuCompute>(weights, cpu_options(options, threads));
  return std::make_unique<TorchCompute>(weights, options.dtype);
}

PassSize forecast_pass_size(const ModelConfig& config, const ComputeOptions& options,
                            const std::string& device, int64_t wanted) {
  return uses_own_kernels(options, device) ? CpuCompute::size_of_pass(config, wanted)
                                           : TorchCompute::size_of_pass(wanted);
}

std::optional<int64_t> forecast_activation_bytes(const ModelConfig& config,
                                                 const ComputeOptions& options,
                                                 const std::string& device, int64_t tokens,
                                                 int64_t targets, int lora_rank) {
  if (!uses_own_kernels(options, device)) return std::nullopt;
  return CpuCompute::forecast_bytes(config, cpu_options(options, 0), tokens, targets, lora_rank);
}

}  // namespace longshot::model
