// longshot sft: supervised fine-tuning or language modelling on text, of an existing or a new
// model.

#include <cstdio>
#include <memory>

#include "commands/train/config_arguments.h"
#include "commands/train/train.h"
#include "loop/offline/sft.h"

namespace longshot::commands {
namespace {

Status run(const config::SftConfig& config, const std::string& text) {
  LS_ASSIGN_OR_RETURN(const loop::StepResult result, loop::run_sft(config, text));
  std::printf("%s\n", result.model_directory.c_str());
  return ok_status();
}

}  // namespace

void add_sft(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ConfigArguments>();
  CLI::App* command = app.add_subcommand("sft", "Fine-tune a model on chats, completions or text");
  arguments->add_to(*command);
  command->callback([arguments, &exit_code] {
    exit_code = finish([&] { return run_with_config<config::SftConfig>(*arguments, run); });
  });
}

}  // namespace longshot::commands
