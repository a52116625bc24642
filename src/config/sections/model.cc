#include "config/sections/model.h"

#include "base/settings/checks.h"
#include "model/format/adapters/adapter.h"

namespace longshot::config {

void bind_chat_template(Settings& s, std::string& chat_template) {
  s.add("model.chat_template", &chat_template,
        "used instead of the model's own: a file NAME.jinja, a named template of the model, or a "
        "built-in family; docs/formats.md");
}

void bind(Settings& s, ModelOptions& m, const std::string& path_help) {
  s.add("model.path", &m.path, path_help);
  bind_chat_template(s, m.chat_template);
  s.add(
      "model.chat_template_args", &m.chat_template_args,
      "arguments of the chat template: {enable_thinking=false}; strftime_now=\"2024-07-26\" fixes "
      "its date; a JSON text keeps the order of keys");
  s.add("model.lora_rank", &m.lora.rank,
        "LoRA rank; only the adapters are trained; 0 = off; docs/lora.md", at_least(0));
  s.add("model.lora_alpha", &m.lora.alpha, "an adapter counts alpha / rank times", above(0));
  s.add("model.lora_targets", &m.lora_targets,
        "linear layers with an adapter: all-linear, or q_proj, k_proj, v_proj, o_proj, gate_proj, "
        "up_proj, down_proj; qkv_proj and gate_up_proj where a model has these");
  s.add("model.lora_adapter_path", &m.lora_adapter_path,
        "peft directory whose adapter is trained further; its rank, alpha and layers apply");
  s.add("model.freeze", &m.freeze,
        "weights that are not trained, as patterns of names: model.embed_tokens.*, "
        "model.layers.[0-9].*");
}

void bind_new_model(Settings& s, ModelOptions& m) {
  s.add("model.alphabet_file", &m.alphabet_file, "new model: its character vocabulary");
  s.add("model.hidden_size", &m.hidden_size, "new model: width", at_least(1));
  s.add("model.num_layers", &m.num_layers, "new model: layers", at_least(1));
  s.add("model.num_heads", &m.num_heads, "new model: attention heads", at_least(1));
  s.add("model.num_kv_heads", &m.num_kv_heads, "new model: key-value heads", at_least(1));
  s.add("model.intermediate_size", &m.intermediate_size, "new model: MLP width", at_least(1));
  s.add("model.max_positions", &m.max_positions, "new model: longest sequence", at_least(1));
}

Status validate(const ModelOptions& m) {
  if (m.lora.rank > 0 && !m.lora_adapter_path.empty()) {
    return invalid_argument(
        "model.lora_rank is for a new adapter; that of model.lora_adapter_path has a rank of its "
        "own");
  }
  const ModelOptions plain;
  if (m.lora.rank == 0 && m.lora_targets != plain.lora_targets)
    return invalid_argument("model.lora_targets is for a new adapter: set model.lora_rank");
  if (m.lora.rank == 0 && m.lora.alpha != plain.lora.alpha)
    return invalid_argument("model.lora_alpha is for a new adapter: set model.lora_rank");
  if (!m.has_adapter()) return ok_status();
  if (m.path.empty()) return invalid_argument("an adapter needs model.path, its base");
  if (model::is_adapter_directory(m.path)) {
    return invalid_argument(m.path +
                            " is an adapter: give its base as model.path and the adapter as "
                            "model.lora_adapter_path, or merge it with longshot convert");
  }
  return ok_status();
}

}  // namespace longshot::config
