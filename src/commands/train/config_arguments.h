#pragma once
// Arguments shared by the training commands: a TOML file, overrides, --dry-run, --show-tokens,
// --reference.

#include <cstdio>
#include <string>
#include <vector>

#include "base/settings/settings.h"
#include "commands/command.h"
#include "config/config.h"
#include "config/validate.h"
#include "loop/forecast/memory_forecast.h"
#include "loop/offline/dpo.h"
#include "loop/offline/reward_model.h"
#include "loop/offline/sft.h"
#include "loop/rl/dry_run.h"
#include "loop/run_folder/resume.h"

namespace longshot::commands {

struct ConfigArguments {
  static constexpr const char* kTokensOfRow =
      "with --dry-run: also show the first row token by token";
  std::string file;
  std::vector<std::string> overrides;
  bool dry_run = false;
  bool show_tokens = false;
  bool reference = false;

  // `tokens_help`: of --show-tokens.
  void add_to(CLI::App& command, const char* tokens_help = kTokensOfRow);
  // Reads the file and the overrides into the fields that are bound to `settings`.
  Status load(Settings& settings) const;
};

// Replaces run folders, whose newest model changes over time, by the paths of the models
// themselves, so that the configuration that is printed and stored names the models in use.
// `checkpoint_model` is the model of the checkpoint to continue from, or "" if there is none. It is
// used if model.path does not exist on this machine.
Status find_models(config::ModelOptions& model, const std::string& checkpoint_model);

// Replaces a run folder by the path of its model. Does nothing for an empty path. Errors name the
// key.
Status find_reference(std::string& path, const char* key);
// As find_models(), for the fixed model that an objective compares with.
template <typename Config>
Status find_reference(Config& config) {
  if constexpr (requires { config.algorithm.kl_reference; })
    return find_reference(config.algorithm.kl_reference, "algorithm.kl_reference");
  else if constexpr (requires { config.reference_model; })
    return find_reference(config.reference_model, "dpo.reference_model");
  else
    return ok_status();
}

// --reference prints the table of keys. --dry-run checks everything and prints the configuration if
// all checks pass. Otherwise runs work(config, text of the full configuration). `kinds`: further
// arguments of config::bind().
template <typename Config, typename Work, typename... Kinds>
Status run_with_config(const ConfigArguments& arguments, Work&& work, const Kinds&... kinds) {
  Config config;
  Settings settings;
  config::bind(settings, config, kinds...);
  if (arguments.reference) {
    std::fputs(settings.to_markdown().c_str(), stdout);
    return ok_status();
  }
  if (arguments.show_tokens && !arguments.dry_run)
    return invalid_argument("--show-tokens is a part of --dry-run: add it, or leave both out");
  LS_RETURN_IF_ERROR(arguments.load(settings));
  auto& sections = config::sections_of(config);
  LS_RETURN_IF_ERROR(find_models(sections.model, loop::checkpoint_model(sections)));
  LS_RETURN_IF_ERROR(find_reference(config));
  LS_RETURN_IF_ERROR(config::validate(config));
  LS_RETURN_IF_ERROR(loop::check_output(sections.trainer.output));
  LS_RETURN_IF_ERROR(loop::check_resources(sections));
  if (!arguments.dry_run) return work(config, settings.to_toml());
  LS_RETURN_IF_ERROR(loop::check_inputs(config, arguments.show_tokens));
  std::fputs(settings.to_toml().c_str(), stdout);
  return ok_status();
}

}  // namespace longshot::commands
