#pragma once
// Memory of what a pass computes: how much there is, and what of it is kept for the backward pass.

#include <cstdint>

#include "kernels/products/dense.h"
#include "model/format/config.h"

namespace longshot::model::cpu {

// What the forward pass keeps for the backward pass, of each layer and token.
enum class Checkpointing {
  none,       // everything that takes a product to compute
  selective,  // not the inner activations of the MLP
  full,       // only the layer's input
};

constexpr int64_t kMlpRows =
    2048;  // tokens whose inner activations of the MLP exist at once, unless all are kept

// Memory of the activations of a pass over so many tokens, all that Decoder allocates, in bytes. lora_rank: of adapters,
// 0 without any.
int64_t activation_bytes(const ModelConfig& config, int64_t tokens, Checkpointing checkpointing,
                         int lora_rank = 0);
// The one that computes least again among those that fit `bytes`; full if none does.
Checkpointing choose_checkpointing(const ModelConfig& config, int64_t tokens, int64_t bytes);

// Rows of activations; grows, never shrinks, and knows its size.
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

}  // namespace longshot::model::cpu
