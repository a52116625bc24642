#include "model/cpu/activations.h"

#include <algorithm>

namespace longshot::model::cpu {

int64_t activation_bytes(const ModelConfig& c, int64_t tokens, Checkpointing checkpointing,
                         int lora_rank) {
  const auto width = [](int64_t floats) {
    return int64_t{kernels::row_stride(static_cast<int>(floats))};
  };
  const int64_t hidden = width(c.hidden_size), q = c.num_heads * c.head_dim,
                qkv = q + 2 * c.num_kv_heads * c.head_dim,
                inner = kernels::round_up(c.intermediate_size, kernels::kLane);
  const int64_t attention = hidden + width(qkv) + width(q) + width(c.num_heads) +
                            (c.qk_norm ? width(q + c.num_kv_heads * c.head_dim) : 0);
  const int64_t gate_up = width(2 * inner);
  const bool none = checkpointing == Checkpointing::none,
             full = checkpointing == Checkpointing::full;
  // First the activations of each layer and token. Then what exists only once: the stream and its
  // gradients, attention's packed keys and values and their gradients by query head, and one layer
  // if checkpointing is full.
  int64_t floats = c.num_layers * (hidden + (full ? 0 : attention) + (none ? gate_up : 0));
  floats += 4 * hidden + width(qkv) + width(q) + (full ? attention : 0);
  floats += 2 * c.num_kv_heads * kernels::round_up(c.head_dim, kernels::kPanel) + 2 * q;
  if (lora_rank > 0) floats += 2 * width(lora_rank);
  const int64_t mlp_rows = std::min(tokens, kMlpRows) * (width(inner) + (none ? 1 : 2) * gate_up);
  return static_cast<int64_t>(sizeof(float)) * (tokens * floats + mlp_rows);
}

Checkpointing choose_checkpointing(const ModelConfig& config, int64_t tokens, int64_t bytes) {
  for (const auto checkpointing : {Checkpointing::none, Checkpointing::selective}) {
    if (activation_bytes(config, tokens, checkpointing) <= bytes) return checkpointing;
  }
  return Checkpointing::full;
}

void Activations::reset(int64_t rows, int width) {
  stride_ = static_cast<size_t>(kernels::row_stride(width));
  const size_t wanted = static_cast<size_t>(rows) * stride_;
  if (data_.size() < wanted) {
    free();
    data_ = kernels::AlignedFloats(wanted);
  }
}

void Activations::free() {
  data_ = {};
}

}  // namespace longshot::model::cpu
