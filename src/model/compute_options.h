#pragma once
// User-facing options of passes. Torch-free.

#include <string>

namespace longshot::model {

// How passes are computed. Results are the same up to rounding.
struct ComputeOptions {
  std::string kernels = "auto";  // "auto": longshot's own on a CPU; "libtorch"
  // Number format of the products of the layers and, with longshot's own kernels, of the head:
  // "float32", "bfloat16". Everything else is f32.
  std::string dtype = "float32";
  // Of activations: "auto", "none", "selective", "full"; see model/cpu/activations.h.
  std::string checkpointing = "auto";
  // Memory for kept activations that checkpointing "auto" may fill; 0: half of the free memory.
  double activation_gib = 0;
};

}  // namespace longshot::model
