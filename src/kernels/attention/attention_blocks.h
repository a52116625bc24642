#pragma once
// The work of attention over packed sequences on a block of scores, between two products.
// Vectorized; thread-safe on disjoint outputs.

#include <cstddef>
#include <cstdint>

namespace longshot::kernels {

// One step of the softmax over blocks of keys (Milakov & Gimelshein, 1805.02867). Scores become
// exp(scale * score - max), 0 where a query does not see the key.
struct SoftmaxBlock {
  float* scores;  // [rows][stride]
  size_t stride;  // a multiple of 16
  int rows, keys;
  // Row r sees the keys [hidden + r, visible + r) of those in the block.
  int64_t hidden, visible;
  float scale;
  float* max;    // [rows] of all blocks so far; updated
  float* total;  // [rows] sums of the weights; updated
  float* sums;   // [rows][width] weighted values; rescaled to the new maximum
  int width;     // a multiple of 16
};
void softmax_block(const SoftmaxBlock& b);

// Turns transposed scores into weights w = exp(scale * score - log_sum), and dweights into the
// gradient of the scores before the scale: w * (dweight - dot) * scale. Both become 0 where the key
// is hidden. With a cap, w = exp(cap * t - log_sum) for t = tanh(scale * score / cap), and the
// gradient has the further factor 1 - t^2.
struct SoftmaxGradientBlock {
  float* scores;    // [keys][stride]
  float* dweights;  // [keys][stride]
  size_t stride;    // a multiple of 16
  int keys, queries;
  int64_t hidden, past;  // key i is hidden from queries below hidden + i and from past + i on
  float scale;
  const float* log_sums;  // [queries]
  const float* dots;      // [queries] sum of output times its gradient
  float cap = 0;          // 0: none
};
void softmax_gradient_block(const SoftmaxGradientBlock& b);

}  // namespace longshot::kernels
