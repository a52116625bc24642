// longshot rm: trains a classic reward model on labelled responses or on pairs.

#include <cstdio>
#include <memory>

#include "commands/train/config_arguments.h"
#include "commands/train/train.h"
#include "loop/offline/reward_model.h"

namespace longshot::commands {
namespace {

Status run(const config::RmConfig& config, const std::string& text) {
  LS_ASSIGN_OR_RETURN(const loop::StepResult result, loop::run_rm(config, text));
  std::printf("%s\n", result.model_directory.c_str());
  return ok_status();
}

}  // namespace

void add_rm(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ConfigArguments>();
  CLI::App* command =
      app.add_subcommand("rm", "Train a reward model on labelled responses or pairs");
  arguments->add_to(*command);
  command->callback([arguments, &exit_code] {
    exit_code = finish([&] { return run_with_config<config::RmConfig>(*arguments, run); });
  });
}

}  // namespace longshot::commands
