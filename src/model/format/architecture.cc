// The weights that a configuration implies, and their number.

#include "model/format/config.h"

namespace longshot::model {
namespace {

void add_attention(const ModelConfig& c, const std::string& prefix,
                   std::vector<WeightSpec>& specs) {
  const int64_t hidden = c.hidden_size;
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  const struct {
    const char* name;
    int64_t rows, columns;
    bool bias;
  } projections[] = {{"q_proj", q, hidden, c.qkv_bias},
                     {"k_proj", kv, hidden, c.qkv_bias},
                     {"v_proj", kv, hidden, c.qkv_bias},
                     {"o_proj", hidden, q, c.attention_out_bias}};
  for (const auto& p : projections) {
    specs.push_back({prefix + p.name + ".weight", {p.rows, p.columns}});
    if (p.bias) specs.push_back({prefix + p.name + ".bias", {p.rows}});
  }
  if (c.qk_norm) {
    specs.push_back({prefix + "q_norm.weight", {c.head_dim}});
    specs.push_back({prefix + "k_norm.weight", {c.head_dim}});
  }
}

void add_mlp(const ModelConfig& c, const std::string& prefix, std::vector<WeightSpec>& specs) {
  const int64_t hidden = c.hidden_size, inner = c.intermediate_size;
  const struct {
    const char* name;
    int64_t rows, columns;
  } projections[] = {
      {"gate_proj", inner, hidden}, {"up_proj", inner, hidden}, {"down_proj", hidden, inner}};
  for (const auto& p : projections) {
    specs.push_back({prefix + p.name + ".weight", {p.rows, p.columns}});
    if (c.mlp_bias) specs.push_back({prefix + p.name + ".bias", {p.rows}});
  }
}

}  // namespace

std::vector<WeightSpec> expected_weights(const ModelConfig& c) {
  std::vector<WeightSpec> specs;
  specs.push_back({"model.embed_tokens.weight", {c.vocab_size, c.hidden_size}});
  for (int layer = 0; layer < c.num_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    specs.push_back({prefix + "input_layernorm.weight", {c.hidden_size}});
    add_attention(c, prefix + "self_attn.", specs);
    specs.push_back({prefix + "post_attention_layernorm.weight", {c.hidden_size}});
    add_mlp(c, prefix + "mlp.", specs);
  }
  specs.push_back({"model.norm.weight", {c.hidden_size}});
  if (c.score_head) {
    specs.push_back({"score.weight", {1, c.hidden_size}});
  } else if (!c.tie_word_embeddings) {
    specs.push_back({"lm_head.weight", {c.vocab_size, c.hidden_size}});
  }
  return specs;
}

int64_t parameter_count(const ModelConfig& config) {
  int64_t total = 0;
  for (const WeightSpec& spec : expected_weights(config)) {
    int64_t count = 1;
    for (int64_t extent : spec.shape) count *= extent;
    total += count;
  }
  return total;
}

}  // namespace longshot::model
