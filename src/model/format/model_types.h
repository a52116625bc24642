#pragma once
// The supported model types as one table, from transformers' configuration classes: how config.json
// describes each, and the facts of its architecture.

#include <span>
#include <string>

#include "model/format/config.h"

namespace longshot::model {

// Which keys of config.json say that attention's projections have biases.
enum class AttentionBias {
  never,
  qkv,         // always on q, k and v, never on the output
  by_key,      // attention_bias: all four
  qkv_by_key,  // attention_bias: q, k and v
};

// Which layers have a window.
enum class Windows {
  never,
  every_layer,     // all, if sliding_window is a number
  if_used,         // use_sliding_window: all
  last_layers,     // use_sliding_window: layer_types, or those from max_window_layers on
  no_rope_layers,  // use_sliding_window: layer_types, or those that rotate nothing
  pattern,         // layer_types, or all but every sliding_window_pattern-th
};

struct ModelType {
  const char* name;        // model_type
  const char* class_name;  // of transformers, before ForCausalLM
  // before ForSequenceClassification; null: the same
  const char* classifier_name = nullptr;
  ArchitectureFacts facts = {};
  AttentionBias attention_bias = AttentionBias::never;
  bool default_attention_bias = false;
  bool mlp_bias = false;  // has the key mlp_bias
  Windows windows = Windows::never;
  int window_pattern = 0;       // Windows::pattern, without a key
  bool no_rope_layers = false;  // has the keys no_rope_layers and no_rope_layer_interval
  bool multipliers = false;     // has Granite's four
  bool gemma_scales = false;    // sqrt(hidden) embeddings, query_pre_attn_scalar, logit caps
  bool attention_cap = false;   // has attn_logit_softcapping
  bool partial_rotary = false;  // has partial_rotary_factor
  bool only_longrope = false;   // longrope is its only rope scaling, under several names
  bool local_rope = false;      // layers with a window have another theta
  // Has experts, which the key num_experts or num_local_experts counts.
  bool experts = false;
  // Experts: has moe_intermediate_size, norm_topk_prob, and layers with an MLP instead.
  bool expert_keys = false;
  // Defaults of keys that are missing. A head_dim of 0: hidden_size / heads.
  int positions = 2048, window = 0, head_dim = 0, kv_heads = 0;
  double rms_norm_eps = 1e-6, rope_theta = 10000, partial_rotary_factor = 1;
  double attention_softcap = 0, logit_softcap = 0;
  bool tied = false;
};

std::span<const ModelType> model_types();
// Null: not supported.
const ModelType* find_model_type(const std::string& name);
std::string model_type_names();  // "llama, mistral, ..."
// Sets the model type and the facts that follow from it, which dies for an unknown one.
void set_model_type(const std::string& name, ModelConfig& config);

}  // namespace longshot::model
