#pragma once
// The decoder stack of every model type, shared by the packed forward pass (training, scoring)
// and the cached one (generation). They differ only in their attention.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "model/weights.h"

namespace longshot::model {

// Attention of one layer: q [total, heads, head_dim], k and v [total, kv_heads, head_dim], all
// after RoPE; returns [total, heads, head_dim].
using AttentionFn = std::function<at::Tensor(int layer, const at::Tensor& q, const at::Tensor& k,
                                             const at::Tensor& v)>;

// Tokens of the layers, [total] each. `lengths` are those of each token's whole sequence; empty if
// no sequence is longer than rope_steady_length().
struct LayerInput {
  std::vector<int64_t> tokens, positions, lengths;
};
// Hidden states after the final norm, [total, hidden].
at::Tensor decode_layers(const Weights& weights, const LayerInput& input,
                         const AttentionFn& attention);

// Attention of q [sequences, heads, queries, d] over k, v [sequences, kv_heads, keys, d] with the
// scale and the cap of the model. Without a mask it is causal, with as many queries as keys.
at::Tensor attend(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k,
                  const at::Tensor& v, const std::optional<at::Tensor>& mask);

// int64 [values] on `device`.
at::Tensor index_tensor(const std::vector<int64_t>& values, at::Device device);

}  // namespace longshot::model
