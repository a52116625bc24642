#pragma once
// The two passes of a softmax over a vocabulary, vectorised (Highway). Bits do not depend on the
// vector width.

#include <cstddef>
#include <span>

namespace longshot::rollout {

inline constexpr int kWeightBlock = 256;

float max_value(std::span<const float> values);  // -inf if empty; NaN is ignored

// weights[i] = exp((logits[i] - max) * scale); block_sums[b] = sum of weights [256 b, 256 (b + 1)).
void exp_weights(std::span<const float> logits, float max, float scale, float* weights,
                 double* block_sums);

}  // namespace longshot::rollout
