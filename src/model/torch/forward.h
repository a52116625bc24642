#pragma once
// The one forward pass. Any faster rollout path is tested against it.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/weights.h"

namespace longshot::model {

// Several sequences laid end to end, never padded; attention is causal within each one. A sequence may go on from
// another one, whose tokens then stand once for all that do.
struct PackedBatch {
  std::vector<int32_t> tokens;  // [total]
  std::vector<int32_t>
      positions;  // [total], restarting at 0 (or the given offset) in each sequence
  std::vector<int64_t> boundaries;  // [sequences + 1], starts at 0, ends at total

  // [sequences] the sequence whose tokens come before those of this one, an earlier one that goes on from none; -1: none.
  // Empty: none anywhere.
  std::vector<int> prompts;

  void append(std::span<const int32_t> sequence) { append(sequence, -1); }
  void append(std::span<const int32_t> sequence, int prompt);
  int prompt_of(int64_t sequence) const { return prompts.empty() ? -1 : prompts[sequence]; }
  int64_t total() const { return static_cast<int64_t>(tokens.size()); }
  // (query, key) that see each other, on average over the model's layers.
  double pairs(const ModelConfig& config) const;
  int64_t sequences() const {
    return boundaries.empty() ? 0 : static_cast<int64_t>(boundaries.size()) - 1;
  }
};

// Hidden states after the final norm, [total, hidden]. Differentiable unless called under NoGradGuard. No sequence of
// the batch goes on from another: CpuCompute has that.
at::Tensor hidden_states(const Weights& weights, const PackedBatch& batch);

// Matrix of the output head, [vocab, hidden]: lm_head.weight or the tied embedding.
const at::Tensor& head_weight(const Weights& weights);
at::Tensor& head_weight(Weights& weights);

}  // namespace longshot::model
