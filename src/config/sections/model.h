#pragma once
// Section [model]: the source of the weights, what of them is trained, and the size of a newly
// created model.

#include <string>
#include <vector>

#include "base/json.h"
#include "base/settings/settings.h"
#include "model/format/adapters/lora_options.h"

namespace longshot::config {

struct ModelOptions {
  std::string path;  // empty: a new model, in offline training only
  // The whole model in the checkpoint to continue from, used if `path` is not on this machine.
  std::string stand_in;
  const std::string& source() const { return stand_in.empty() ? path : stand_in; }
  std::string chat_template;  // argument of tokenizer::ChatTemplate::choose()
  Json chat_template_args = Json::array();
  std::string alphabet_file;
  model::LoraOptions lora;
  std::vector<std::string> lora_targets = {"all-linear"};
  std::string lora_adapter_path;
  bool has_adapter() const { return lora.rank > 0 || !lora_adapter_path.empty(); }
  std::vector<std::string> freeze;
  int hidden_size = 128;
  int num_layers = 4;
  int num_heads = 4;
  int num_kv_heads = 4;
  int intermediate_size = 384;
  int max_positions = 1024;
};

// All keys but those of a new model. `path_help` says what may be at model.path.
void bind(Settings& settings, ModelOptions& options, const std::string& path_help);
void bind_new_model(Settings& settings, ModelOptions& options);
void bind_chat_template(Settings& settings, std::string& chat_template);

// Error: keys that contradict one another.
Status validate(const ModelOptions& options);

}  // namespace longshot::config
