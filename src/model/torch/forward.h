#pragma once
// The reference forward pass, against which any faster path is tested.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/weights.h"

namespace longshot::model {

// Several sequences laid end to end, never padded. Attention is causal within each one. A sequence
// may continue another one, whose tokens are then stored only once for all continuations.
struct PackedBatch {
  std::vector<int32_t> tokens;  // [total]
  // [total], restarting in each sequence at 0, or after the last position of the sequence it
  // continues
  std::vector<int32_t> positions;
  std::vector<int64_t> boundaries;  // [sequences + 1], starts at 0, ends at total

  // [sequences] index of the earlier sequence that this one continues, or -1 for none. That
  // sequence must not continue another one itself. Empty if no sequence continues another.
  std::vector<int> prompts;

  void append(std::span<const int32_t> sequence) { append(sequence, -1); }
  void append(std::span<const int32_t> sequence, int prompt);
  int prompt_of(int64_t sequence) const { return prompts.empty() ? -1 : prompts[sequence]; }
  int64_t total() const { return static_cast<int64_t>(tokens.size()); }
  // The number of (query, key) pairs that see each other, averaged over the model's layers.
  double pairs(const ModelConfig& config) const;
  int64_t sequences() const {
    return boundaries.empty() ? 0 : static_cast<int64_t>(boundaries.size()) - 1;
  }
};

// Hidden states after the final norm, [total, hidden]. Differentiable unless called under
// NoGradGuard. No sequence of the batch may continue another one; CpuCompute supports that.
at::Tensor hidden_states(const Weights& weights, const PackedBatch& batch);

// The matrix of the output head, [vocab, hidden]: lm_head.weight or the tied embedding.
const at::Tensor& head_weight(const Weights& weights);
at::Tensor& head_weight(Weights& weights);

}  // namespace longshot::model
