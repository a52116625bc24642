#pragma once
// The modules of a model as one table: the role of a module, its Hugging Face and GGUF names, and
// the shape of its weight. Code that reads weights takes names from here.

#include <string>
#include <vector>

#include "model/format/config.h"

namespace longshot::model {

// Modules of a decoder layer. A model has some of the norms, and either q, k, v or qkv, and either
// gate, up or gate_up (ArchitectureFacts). A layer with experts has the router and the modules of
// each expert in place of gate, up and down.
enum class Role {
  attention_norm,
  q,
  k,
  v,
  qkv,  // the rows of q, k and v
  out,
  q_norm,
  k_norm,
  attention_post_norm,
  mlp_norm,
  gate,
  up,
  gate_up,  // the rows of gate and up
  down,
  router,
  expert_gate,
  expert_up,
  expert_down,
  mlp_post_norm,
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
  std::string name;  // within its layer: "self_attn.q_proj", "mlp.experts.3.up_proj"
  // The same in a GGUF file (gguf-py, tensor_mapping.py): "attn_q". All experts share a tensor.
  const char* gguf;
  bool linear;     // a matrix, which may have a bias and an adapter
  int expert = 0;  // of the roles of experts
};
// The modules of a layer, in the order of a checkpoint.
std::vector<ModuleName> layer_modules(const ModelConfig& config, int layer);

bool is_of_expert(Role role);
// True if an adapter can be next to the module. Routers and experts have none.
bool takes_adapter(const ModuleName& module);

// "model.layers.3." and "model.layers.3.self_attn.q_proj". The latter dies for a module that the
// model does not have. `expert` is for the roles of experts.
std::string layer_prefix(int layer);
std::string module_of(const ModelConfig& config, int layer, Role role, int expert = 0);
inline std::string weight_of(const std::string& module) {
  return module + ".weight";
}
inline std::string bias_of(const std::string& module) {
  return module + ".bias";
}
// The module whose weight is the output head: the embedding if it is tied.
const char* head_module(const ModelConfig& config);

// [rows, columns] of a linear module's weight, [columns] of a norm's (rows 0). Where some layers
// have experts and others an MLP, the model has the modules of both.
struct ModuleShape {
  int64_t rows = 0, columns = 0;
  bool bias = false;
  bool exists = true;  // false: a model of this configuration does not have it
};
ModuleShape shape_of(const ModelConfig& config, Role role);

// Where the rows of a linear role other than qkv and gate_up are: the rows [first, first + rows) of
// a module.
struct RowsOfModule {
  std::string module;
  int64_t first = 0, rows = 0, columns = 0;
  bool bias = false;
};
RowsOfModule rows_of(const ModelConfig& config, int layer, Role role, int expert = 0);

}  // namespace longshot::model
