#pragma once
// User-facing options of passes. Torch-free.

#include <string_view>

#include "base/number_format.h"
#include "base/spelling.h"

namespace longshot::model {

enum class KernelChoice {
  automatic,  // longshot's own on a CPU, libtorch elsewhere
  libtorch,
};

constexpr auto spellings(KernelChoice) {
  using enum KernelChoice;
  return std::to_array<Spelling<KernelChoice>>({{automatic, "auto"}, {libtorch, "libtorch"}});
}

// Which activations are computed again; see model/cpu/activations.h. `automatic` chooses by the
// memory that they may fill.
enum class CheckpointingChoice { automatic, none, selective, full };

constexpr auto spellings(CheckpointingChoice) {
  using enum CheckpointingChoice;
  return std::to_array<Spelling<CheckpointingChoice>>(
      {{automatic, "auto"}, {none, "none"}, {selective, "selective"}, {full, "full"}});
}

// How passes are computed. Results are the same up to rounding. The keys are described in
// config/sections/compute.cc.
struct ComputeOptions {
  KernelChoice kernels = KernelChoice::automatic;
  NumberFormat dtype = NumberFormat::f32;  // f32 or bf16
  CheckpointingChoice checkpointing = CheckpointingChoice::automatic;
  double activation_gib = 0;
};

// True if longshot's own kernels compute the passes of a model on `device`.
inline bool uses_own_kernels(const ComputeOptions& options, std::string_view device) {
  return options.kernels != KernelChoice::libtorch && device == "cpu";
}

}  // namespace longshot::model
