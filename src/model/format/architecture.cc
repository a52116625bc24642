#include "model/format/architecture.h"

#include "base/check.h"

namespace longshot::model {
namespace {

// A name of null depends on the architecture.
struct Module {
  Role role;
  const char *name, *gguf;
  bool linear;
};
constexpr Module kModules[] = {
    {Role::attention_norm, "input_layernorm", "attn_norm", false},
    {Role::q, "self_attn.q_proj", "attn_q", true},
    {Role::k, "self_attn.k_proj", "attn_k", true},
    {Role::v, "self_attn.v_proj", "attn_v", true},
    {Role::qkv, "self_attn.qkv_proj", "attn_qkv", true},
    {Role::out, "self_attn.o_proj", "attn_output", true},
    {Role::q_norm, "self_attn.q_norm", "attn_q_norm", false},
    {Role::k_norm, "self_attn.k_norm", "attn_k_norm", false},
    {Role::attention_post_norm, nullptr, "post_attention_norm", false},
    {Role::mlp_norm, nullptr, "ffn_norm", false},
    {Role::gate, "mlp.gate_proj", "ffn_gate", true},
    {Role::up, "mlp.up_proj", "ffn_up", true},
    {Role::gate_up, "mlp.gate_up_proj", "ffn_up", true},
    {Role::down, "mlp.down_proj", "ffn_down", true},
    {Role::router, nullptr, "ffn_gate_inp", true},
    {Role::expert_gate, nullptr, "ffn_gate_exps", true},
    {Role::expert_up, nullptr, "ffn_up_exps", true},
    {Role::expert_down, nullptr, "ffn_down_exps", true},
    {Role::mlp_post_norm, nullptr, "post_ffw_norm", false},
};

// The norms whose names differ between architectures.
struct NormNames {
  const char *attention_post_norm, *mlp_norm, *mlp_post_norm;
};
NormNames norm_names(Norms norms) {
  switch (norms) {
    case Norms::llama:
      return {nullptr, "post_attention_layernorm", nullptr};
    case Norms::olmo2:
      return {"post_attention_layernorm", nullptr, "post_feedforward_layernorm"};
    case Norms::glm4:
      return {"post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm"};
    case Norms::gemma:
      return {"post_attention_layernorm", "pre_feedforward_layernorm",
              "post_feedforward_layernorm"};
  }
  LS_CHECK(false, "every arrangement of norms has names");
}

struct ExpertModules {
  const char *router, *prefix, *gate, *up, *down;
};
ExpertModules expert_modules(ExpertNames names) {
  if (names == ExpertNames::mixtral)
    return {"block_sparse_moe.gate", "block_sparse_moe.experts.", ".w1", ".w3", ".w2"};
  return {"mlp.gate", "mlp.experts.", ".gate_proj", ".up_proj", ".down_proj"};
}

std::string name_of(const ModelConfig& c, const Module& module, int expert) {
  const NormNames norms = norm_names(c.facts.norms);
  const ExpertModules experts = expert_modules(c.facts.expert_names);
  const auto of_expert = [&](const char* part) {
    return experts.prefix + std::to_string(expert) + part;
  };
  switch (module.role) {
    case Role::attention_post_norm:
      return norms.attention_post_norm;
    case Role::mlp_norm:
      return norms.mlp_norm;
    case Role::mlp_post_norm:
      return norms.mlp_post_norm;
    case Role::router:
      return experts.router;
    case Role::expert_gate:
      return of_expert(experts.gate);
    case Role::expert_up:
      return of_expert(experts.up);
    case Role::expert_down:
      return of_expert(experts.down);
    default:
      return module.name;
  }
}

bool is_of_mlp(Role role) {
  return role == Role::gate || role == Role::up || role == Role::gate_up || role == Role::down;
}

// The module that contains the rows of a role, and the role whose rows come before them there.
struct Fusion {
  Role whole;
  std::vector<Role> before;
};
Fusion fusion_of(const ArchitectureFacts& facts, Role role) {
  switch (role) {
    case Role::q:
      if (facts.fused_qkv) return {Role::qkv, {}};
      break;
    case Role::k:
      if (facts.fused_qkv) return {Role::qkv, {Role::q}};
      break;
    case Role::v:
      if (facts.fused_qkv) return {Role::qkv, {Role::q, Role::k}};
      break;
    case Role::gate:
      if (facts.fused_gate_up) return {Role::gate_up, {}};
      break;
    case Role::up:
      if (facts.fused_gate_up) return {Role::gate_up, {Role::gate}};
      break;
    default:
      break;
  }
  return {role, {}};
}

}  // namespace

bool is_of_expert(Role role) {
  return role == Role::expert_gate || role == Role::expert_up || role == Role::expert_down;
}

std::vector<ModuleName> layer_modules(const ModelConfig& config, int layer) {
  const bool experts = config.has_experts(layer);
  std::vector<ModuleName> modules;
  const auto add = [&](const Module& module, int expert) {
    modules.push_back(
        {module.role, name_of(config, module, expert), module.gguf, module.linear, expert});
  };
  for (const Module& module : kModules) {
    if (!shape_of(config, module.role).exists || is_of_expert(module.role)) continue;
    const bool of_other_layers = experts ? is_of_mlp(module.role) : module.role == Role::router;
    if (!of_other_layers) add(module, 0);
    if (!experts || module.role != Role::router) continue;
    for (int expert = 0; expert < config.experts.count; ++expert) {
      for (const Module& part : kModules) {
        if (is_of_expert(part.role)) add(part, expert);
      }
    }
  }
  return modules;
}

bool takes_adapter(const ModuleName& module) {
  return module.linear && module.role != Role::router && !is_of_expert(module.role);
}

std::string layer_prefix(int layer) {
  return names::kLayers + std::to_string(layer) + ".";
}

std::string module_of(const ModelConfig& config, int layer, Role role, int expert) {
  LS_CHECK(shape_of(config, role).exists, "a module that the model does not have");
  for (const Module& module : kModules) {
    if (module.role == role) return layer_prefix(layer) + name_of(config, module, expert);
  }
  LS_CHECK(false, "every role has a name");
}

const char* head_module(const ModelConfig& config) {
  return config.tie_word_embeddings ? names::kEmbedding : names::kHead;
}

ModuleShape shape_of(const ModelConfig& c, Role role) {
  const ArchitectureFacts& facts = c.facts;
  const int64_t hidden = c.hidden_size, inner = c.intermediate_size;
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  const bool has_qk_norm = facts.qk_norm != QkNorm::none, whole = facts.qk_norm == QkNorm::width;
  const bool experts = c.experts.count > 0, mlp = !experts || !c.experts.dense_layers.empty();
  switch (role) {
    case Role::q:
      return {q, hidden, c.qkv_bias, !facts.fused_qkv};
    case Role::k:
    case Role::v:
      return {kv, hidden, c.qkv_bias, !facts.fused_qkv};
    case Role::qkv:
      return {q + 2 * kv, hidden, c.qkv_bias, facts.fused_qkv};
    case Role::out:
      return {hidden, q, c.attention_out_bias};
    case Role::gate:
    case Role::up:
      return {inner, hidden, c.mlp_bias, mlp && !facts.fused_gate_up};
    case Role::gate_up:
      return {2 * inner, hidden, c.mlp_bias, mlp && facts.fused_gate_up};
    case Role::down:
      return {hidden, inner, c.mlp_bias, mlp};
    case Role::router:
      return {c.experts.count, hidden, false, experts};
    case Role::expert_gate:
    case Role::expert_up:
      return {c.experts.width, hidden, false, experts};
    case Role::expert_down:
      return {hidden, c.experts.width, false, experts};
    case Role::q_norm:
      return {0, whole ? q : c.head_dim, false, has_qk_norm};
    case Role::k_norm:
      return {0, whole ? kv : c.head_dim, false, has_qk_norm};
    case Role::attention_norm:
    case Role::mlp_norm:
      return {0, hidden, false, facts.norm_before()};
    case Role::attention_post_norm:
    case Role::mlp_post_norm:
      return {0, hidden, false, facts.norm_after()};
  }
  LS_CHECK(false, "every role has a shape");
}

RowsOfModule rows_of(const ModelConfig& config, int layer, Role role, int expert) {
  const ModuleShape shape = shape_of(config, role);
  const Fusion fusion = fusion_of(config.facts, role);
  int64_t first = 0;
  for (const Role before : fusion.before) first += shape_of(config, before).rows;
  return {module_of(config, layer, fusion.whole, expert), first, shape.rows, shape.columns,
          shape.bias};
}

std::vector<WeightSpec> expected_weights(const ModelConfig& c) {
  std::vector<WeightSpec> specs;
  specs.push_back({weight_of(names::kEmbedding), {c.vocab_size, c.hidden_size}});
  for (int layer = 0; layer < c.num_layers; ++layer) {
    for (const ModuleName& module : layer_modules(c, layer)) {
      const ModuleShape shape = shape_of(c, module.role);
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
