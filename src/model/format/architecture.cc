#include "model/format/architecture.h"

#include <array>

#include "base/check.h"

namespace longshot::model {
namespace {

constexpr std::array<ModuleName, 11> kModules = {{
    {Role::attention_norm, "input_layernorm", "attn_norm", false},
    {Role::q, "self_attn.q_proj", "attn_q", true},
    {Role::k, "self_attn.k_proj", "attn_k", true},
    {Role::v, "self_attn.v_proj", "attn_v", true},
    {Role::out, "self_attn.o_proj", "attn_output", true},
    {Role::q_norm, "self_attn.q_norm", "attn_q_norm", false},
    {Role::k_norm, "self_attn.k_norm", "attn_k_norm", false},
    {Role::mlp_norm, "post_attention_layernorm", "ffn_norm", false},
    {Role::gate, "mlp.gate_proj", "ffn_gate", true},
    {Role::up, "mlp.up_proj", "ffn_up", true},
    {Role::down, "mlp.down_proj", "ffn_down", true},
}};

}  // namespace

std::span<const ModuleName> layer_modules() {
  return kModules;
}

const ModuleName& module_name(Role role) {
  for (const ModuleName& module : kModules)
    if (module.role == role) return module;
  LS_CHECK(false, "every role has a name");
}

std::string layer_prefix(int layer) {
  return names::kLayers + std::to_string(layer) + ".";
}

std::string module_of(int layer, Role role) {
  return layer_prefix(layer) + module_name(role).name;
}

const char* head_module(const ModelConfig& config) {
  return config.tie_word_embeddings ? names::kEmbedding : names::kHead;
}

ModuleShape shape_of(const ModelConfig& c, Role role) {
  const int64_t hidden = c.hidden_size, inner = c.intermediate_size;
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  switch (role) {
    case Role::q:
      return {q, hidden, c.qkv_bias};
    case Role::k:
    case Role::v:
      return {kv, hidden, c.qkv_bias};
    case Role::out:
      return {hidden, q, c.attention_out_bias};
    case Role::gate:
    case Role::up:
      return {inner, hidden, c.mlp_bias};
    case Role::down:
      return {hidden, inner, c.mlp_bias};
    case Role::q_norm:
    case Role::k_norm:
      return {0, c.head_dim, false, c.qk_norm};
    default:
      return {0, hidden};
  }
}

std::vector<WeightSpec> expected_weights(const ModelConfig& c) {
  std::vector<WeightSpec> specs;
  specs.push_back({weight_of(names::kEmbedding), {c.vocab_size, c.hidden_size}});
  for (int layer = 0; layer < c.num_layers; ++layer) {
    for (const ModuleName& module : layer_modules()) {
      const ModuleShape shape = shape_of(c, module.role);
      if (!shape.exists) continue;
      const std::string name = layer_prefix(layer) + module.name;
      if (!module.linear) {
        specs.push_back({weight_of(name), {shape.columns}});
        continue;
      }
      specs.push_back({weight_of(name), {shape.rows, shape.columns}});
      if (shape.bias) specs.push_back({bias_of(name), {shape.rows}});
    }
  }
  specs.push_back({weight_of(names::kFinalNorm), {c.hidden_size}});
  if (c.score_head) {
    specs.push_back({weight_of(names::kScore), {1, c.hidden_size}});
  } else if (!c.tie_word_embeddings) {
    specs.push_back({weight_of(names::kHead), {c.vocab_size, c.hidden_size}});
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
