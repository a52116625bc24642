// longshot dpo: direct preference optimization on pairs of responses.

#include <cstdio>
#include <memory>

#include "commands/train/config_arguments.h"
#include "commands/train/train.h"
#include "loop/offline/dpo.h"

namespace longshot::commands {
namespace {

Status run(const config::DpoConfig& config, const std::string& text) {
  LS_ASSIGN_OR_RETURN(const loop::StepResult result, loop::run_dpo(config, text));
  std::printf("%s\n", result.model_directory.c_str());
  return ok_status();
}

}  // namespace

void add_dpo(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ConfigArguments>();
  CLI::App* command =
      app.add_subcommand("dpo", "Train a model on pairs of a better and a worse response");
  arguments->add_to(*command);
  command->callback([arguments, &exit_code] {
    exit_code = finish([&] { return run_with_config<config::DpoConfig>(*arguments, run); });
  });
}

}  // namespace longshot::commands
