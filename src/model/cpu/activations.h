#pragma once
// The activations of a pass: how much memory they need, and which of them are kept for the backward
// pass.

#include <cstdint>

#include "kernels/products/dense.h"
#include "model/format/config.h"

namespace longshot::model::cpu {

// The activations that the forward pass keeps for the backward pass, for each layer and token.
enum class Checkpointing {
  none,       // every activation that a product computes
  selective,  // all of these except the inner activations of the MLP
  full,       // only the layer's input
};

// The number of tokens whose inner MLP activations exist at once, unless all are kept.
constexpr int64_t kMlpRows = 2048;

// Estimates the bytes of all activations that Decoder allocates for a pass over `tokens` tokens.
// `lora_rank` is the rank of the adapters; 0 without adapters.
int64_t activation_bytes(const ModelConfig& config, int64_t tokens, Checkpointing checkpointing,
                         int lora_rank = 0);
// The mode with the least recomputation that fits in `bytes`; `full` if none fits.
Checkpointing choose_checkpointing(const ModelConfig& config, int64_t tokens, int64_t bytes);

// A matrix of activations. Its memory shrinks only by free().
class Activations {
 public:
  void reset(int64_t rows, int width);
  void free();
  int64_t bytes() const { return static_cast<int64_t>(data_.size() * sizeof(float)); }
  kernels::Rows rows() { return {data_.data(), stride_}; }
  kernels::ConstRows rows() const { return {data_.data(), stride_}; }
  float* row(int64_t r) { return rows().row(r); }
  const float* row(int64_t r) const { return rows().row(r); }

 private:
  kernels::AlignedFloats data_;
  size_t stride_ = 0;
};

// The rows from `begin` on.
inline kernels::Rows rows_from(Activations& a, int64_t begin) {
  return {a.row(begin), a.rows().stride};
}
inline kernels::ConstRows rows_from(const Activations& a, int64_t begin) {
  return {a.row(begin), a.rows().stride};
}

}  // namespace longshot::model::cpu
