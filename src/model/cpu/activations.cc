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
  const bool has_qk_norm = c.facts.qk_norm != QkNorm::none;
  const int64_t branch = c.facts.norm_after() ? hidden : 0;  // what a norm after a layer reads
  const int64_t attention = hidden + width(qkv) + width(q) + width(c.num_heads) +
                            (has_qk_norm ? width(q + c.num_kv_heads * c.head_dim) : 0) + branch;
  const int64_t gate_up = width(2 * inner);
  const int64_t experts = c.experts.per_token * kernels::round_up(c.experts.width, kernels::kLane),
                expert_gate_up = width(2 * experts);
  int64_t expert_layers = 0;
  for (int layer = 0; layer < c.num_layers; ++layer) expert_layers += c.has_experts(layer) ? 1 : 0;
  const bool none = checkpointing == Checkpointing::none,
             full = checkpointing == Checkpointing::full;
  // First the activations of each layer and token. Then what exists only once: the stream and its
  // gradients, attention's packed keys and values and their gradients by query head, and one layer
  // if checkpointing is full.
  int64_t floats = c.num_layers * (hidden + (full ? 0 : attention) + (none ? branch : 0));
  if (none) floats += (c.num_layers - expert_layers) * gate_up + expert_layers * expert_gate_up;
  // The routing: probabilities, and four numbers an entry.
  floats += (full ? 1 : expert_layers) * (c.experts.count + 4 * c.experts.per_token);
  floats += 4 * hidden + width(qkv) + width(q) + (full ? attention : 0);
  floats += 2 * c.num_kv_heads * kernels::round_up(c.head_dim, kernels::kPanel) + 2 * q;
  // A layer's result before its multiplier, or the gradient before its norm; and its gradient.
  if (!c.adds_plainly()) floats += 2 * hidden;
  if (lora_rank > 0) floats += 2 * width(lora_rank);
  int64_t mlp_width = 0;
  if (expert_layers < c.num_layers)
    mlp_width += width(inner) + (none ? gate_up : 2 * gate_up + branch);
  if (expert_layers > 0) {
    mlp_width += width(c.experts.count) + 2 * c.experts.per_token * hidden + width(experts) +
                 (none ? expert_gate_up : 2 * expert_gate_up);
  }
  const int64_t mlp_rows = std::min(tokens, kMlpRows) * mlp_width;
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
