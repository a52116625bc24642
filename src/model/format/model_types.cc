#include "model/format/model_types.h"

#include "base/check.h"

namespace longshot::model {
namespace {

constexpr ArchitectureFacts kGemma = {
    .norms = Norms::gemma, .norm_plus_one = true, .activation = Activation::gelu_tanh};

constexpr ArchitectureFacts kGemma3 = {.norms = Norms::gemma,
                                       .norm_plus_one = true,
                                       .qk_norm = QkNorm::heads,
                                       .activation = Activation::gelu_tanh};

constexpr ModelType kTypes[] = {
    {.name = "llama",
     .class_name = "Llama",
     .attention_bias = AttentionBias::by_key,
     .mlp_bias = true},
    {.name = "mistral",
     .class_name = "Mistral",
     .windows = Windows::every_layer,
     .positions = 131072,
     .window = 4096},
    {.name = "qwen2",
     .class_name = "Qwen2",
     .attention_bias = AttentionBias::qkv,
     .windows = Windows::last_layers,
     .positions = 32768,
     .window = 4096},
    {.name = "qwen3",
     .class_name = "Qwen3",
     .facts = {.qk_norm = QkNorm::heads},
     .attention_bias = AttentionBias::by_key,
     .windows = Windows::last_layers,
     .positions = 32768,
     .window = 4096,
     .head_dim = 128},
    {.name = "qwen3_moe",
     .class_name = "Qwen3Moe",
     .facts = {.qk_norm = QkNorm::heads},
     .attention_bias = AttentionBias::by_key,
     .windows = Windows::if_used,
     .experts = true,
     .expert_keys = true,
     .positions = 32768,
     .window = 4096,
     .kv_heads = 4},
    {.name = "mixtral",
     .class_name = "Mixtral",
     .facts = {.expert_names = ExpertNames::mixtral},
     .windows = Windows::every_layer,
     .experts = true,
     .positions = 131072,
     .kv_heads = 8,
     .rms_norm_eps = 1e-5,
     .rope_theta = 1e6},
    {.name = "olmo2",
     .class_name = "Olmo2",
     .facts = {.norms = Norms::olmo2, .qk_norm = QkNorm::width},
     .attention_bias = AttentionBias::by_key,
     .rms_norm_eps = 1e-5},
    {.name = "granite",
     .class_name = "Granite",
     .attention_bias = AttentionBias::by_key,
     .mlp_bias = true,
     .multipliers = true},
    {.name = "smollm3",
     .class_name = "SmolLM3",
     .attention_bias = AttentionBias::by_key,
     .mlp_bias = true,
     .windows = Windows::no_rope_layers,
     .no_rope_layers = true,
     .positions = 32768,
     .kv_heads = 4,
     .rope_theta = 2e6,
     .tied = true},
    {.name = "phi3",
     .class_name = "Phi3",
     .facts = {.fused_qkv = true, .fused_gate_up = true},
     .windows = Windows::every_layer,
     .partial_rotary = true,
     .only_longrope = true,
     .positions = 4096,
     .rms_norm_eps = 1e-5},
    {.name = "glm4",
     .class_name = "Glm4",
     .facts = {.norms = Norms::glm4, .rope_pairs = true, .fused_gate_up = true},
     .attention_bias = AttentionBias::qkv_by_key,
     .default_attention_bias = true,
     .partial_rotary = true,
     .positions = 131072,
     .head_dim = 128,
     .kv_heads = 2,
     .rms_norm_eps = 1.5625e-7,
     .partial_rotary_factor = 0.5},
    {.name = "gemma2",
     .class_name = "Gemma2",
     .facts = kGemma,
     .attention_bias = AttentionBias::by_key,
     .windows = Windows::pattern,
     .window_pattern = 2,
     .gemma_scales = true,
     .attention_cap = true,
     .positions = 8192,
     .window = 4096,
     .head_dim = 256,
     .kv_heads = 4,
     .attention_softcap = 50,
     .logit_softcap = 30,
     .tied = true},
    {.name = "gemma3_text",
     .class_name = "Gemma3",
     .classifier_name = "Gemma3Text",
     .facts = kGemma3,
     .attention_bias = AttentionBias::by_key,
     .windows = Windows::pattern,
     .window_pattern = 6,
     .gemma_scales = true,
     .local_rope = true,
     .positions = 131072,
     .window = 4096,
     .head_dim = 256,
     .kv_heads = 4,
     .rope_theta = 1e6,
     .tied = true},
};

}  // namespace

std::span<const ModelType> model_types() {
  return kTypes;
}

const ModelType* find_model_type(const std::string& name) {
  for (const ModelType& type : kTypes) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

std::string model_type_names() {
  std::string names;
  for (const ModelType& type : kTypes)
    names += (names.empty() ? "" : ", ") + std::string(type.name);
  return names;
}

void set_model_type(const std::string& name, ModelConfig& config) {
  const ModelType* type = find_model_type(name);
  LS_CHECK(type != nullptr, "unknown model_type " + name);
  config.model_type = name;
  config.facts = type->facts;
}

}  // namespace longshot::model
