#pragma once
// The architecture that all supported models share, as one table: the role of a module, its Hugging
// Face and GGUF names, and the shape of its weight. Code that reads weights takes names from here.

#include <span>
#include <string>
#include <vector>

#include "model/format/config.h"

namespace longshot::model {

// Modules of a decoder layer.
enum class Role {
  attention_norm,
  q,
  k,
  v,
  out,
  q_norm,
  k_norm,
  mlp_norm,
  gate,
  up,
  down,
};

namespace names {
inline constexpr char kEmbedding[] = "model.embed_tokens";
inline constexpr char kFinalNorm[] = "model.norm";
inline constexpr char kHead[] = "lm_head";
inline constexpr char kScore[] = "score";
inline constexpr char kLayers[] = "model.layers.";
}  // namespace names

struct ModuleName {
  Role role;
  const char* name;  // within its layer: "self_attn.q_proj"
  const char* gguf;  // the same in a GGUF file (gguf-py, tensor_mapping.py): "attn_q"
  bool linear;       // a matrix, which may have a bias and an adapter
};
// Every module of a layer, in the order of a checkpoint.
std::span<const ModuleName> layer_modules();
const ModuleName& module_name(Role role);

// "model.layers.3." and "model.layers.3.self_attn.q_proj"
std::string layer_prefix(int layer);
std::string module_of(int layer, Role role);
inline std::string weight_of(const std::string& module) {
  return module + ".weight";
}
inline std::string bias_of(const std::string& module) {
  return module + ".bias";
}
// The module whose weight is the output head: the embedding if it is tied.
const char* head_module(const ModelConfig& config);

// [rows, columns] of a linear module's weight, [columns] of a norm's (rows 0).
struct ModuleShape {
  int64_t rows = 0, columns = 0;
  bool bias = false;
  bool exists = true;  // false: a model of this configuration does not have it
};
ModuleShape shape_of(const ModelConfig& config, Role role);

}  // namespace longshot::model
