#include "config/sections/compute.h"

#include "base/os/machine.h"
#include "base/settings/checks.h"
#include "kernels/products/gemm.h"

namespace longshot::config {

void bind(Settings& s, model::ComputeOptions& c) {
  s.add("trainer.kernels", &c.kernels,
        "what computes a pass on a CPU: auto (longshot's own) or libtorch; other devices have "
        "libtorch");
  s.add("trainer.dtype", &c.dtype,
        "of the products of the layers, and of the head with longshot's own kernels: bfloat16 "
        "rounds their factors and sums in f32, where the CPU (avx512_bf16, with libtorch also "
        "amx_bf16) or GPU has that; weights and all else stay f32",
        {NumberFormat::f32, NumberFormat::bf16});
  s.add("trainer.checkpointing", &c.checkpointing,
        "activations that are computed again for the gradient instead of kept: none, selective "
        "(the MLP's), full (all but each layer's input), or auto");
  s.add("trainer.activation_gib", &c.activation_gib,
        "what auto checkpointing may keep, GiB; 0 = half of the free memory", at_least(0.0));
}

Status validate(const model::ComputeOptions& c, const MachineOptions& machine) {
  if (c.dtype == NumberFormat::f32 || !machine.is_cpu()) return ok_status();
  const bool amx = c.kernels == model::KernelChoice::libtorch &&
                   inspect_machine().cpu_flags.count("amx_bf16") > 0;
  if (amx || kernels::has_bf16_products()) return ok_status();
  return invalid_argument(
      "trainer.dtype=bfloat16 needs a processor with avx512_bf16, with trainer.kernels=libtorch "
      "also amx_bf16, or a GPU; on this one float32 is faster");
}

}  // namespace longshot::config
