#include "commands/train/config_arguments.h"

#include <filesystem>

#include "base/log.h"
#include "model/format/model_path.h"

namespace longshot::commands {

void ConfigArguments::add_to(CLI::App& command, const char* tokens_help) {
  command.add_option("config", file, "TOML file; docs/configuration.md lists the keys");
  command.add_option("overrides", overrides, "KEY=VALUE, e.g. optim.lr=3e-5");
  command.add_flag("--dry-run", dry_run,
                   "check configuration, data and model, show the first prompt or row as the model "
                   "sees it, print the full configuration, and stop");
  command.add_flag("--show-tokens", show_tokens, tokens_help);
  command.add_flag("--reference", reference, "print all keys as Markdown, and stop");
}

Status ConfigArguments::load(Settings& settings) const {
  if (file.empty()) return invalid_argument("a configuration file is needed; see --help");
  LS_RETURN_IF_ERROR(settings.load_toml_file(file));
  for (const std::string& text : overrides) LS_RETURN_IF_ERROR(settings.override_with(text));
  return ok_status();
}

Status find_models(config::ModelOptions& model, const std::string& checkpoint_model) {
  std::error_code error;
  if (!model.path.empty() && !std::filesystem::exists(model.path, error) &&
      !checkpoint_model.empty()) {
    log::info("{} is not here: the run continues with {}", model.path, checkpoint_model);
    model.stand_in = checkpoint_model;
    return ok_status();
  }
  for (std::string* path : {&model.path, &model.lora_adapter_path}) {
    if (path->empty()) continue;
    LS_ASSIGN_OR_RETURN(*path, model::find_model(*path));
  }
  return ok_status();
}

Status find_reference(std::string& path, const char* key) {
  if (path.empty()) return ok_status();
  auto found = model::find_model(path);
  if (!found.ok()) return found.status().with_context(key);
  path = std::move(*found);
  return ok_status();
}

}  // namespace longshot::commands
