// longshot train: runs RL as described by a configuration file.

#include <cstdio>
#include <memory>

#include "base/log.h"
#include "commands/cluster/cluster.h"
#include "commands/judge/reward_types.h"
#include "commands/train/config_arguments.h"
#include "commands/train/train.h"
#include "loop/rl/run.h"
#include "loop/rl/run_summary.h"

namespace longshot::commands {
namespace {

Status run(const config::TrainConfig& config, const std::string& text) {
  log::info("loading {}", config.model.path);
  LS_ASSIGN_OR_RETURN(auto training, loop::Run::create(config, text));
  LS_RETURN_IF_ERROR(training->run());
  const std::string summary = loop::summarize_run(config.trainer.output);
  log::info("done{}; `longshot report {}` shows the whole run",
            summary.empty() ? "" : ": " + summary, config.trainer.output);
  if (const auto best = training->best()) {
    log::info("best checkpoint: {}/best, that of iteration {}: held-out {:.3f} with {:.0f} tokens",
              config.trainer.output, best->iteration, best->accuracy, best->length);
  }
  std::printf("%s\n", loop::policy_directory(training->newest_checkpoint()).c_str());
  return ok_status();
}

}  // namespace

void add_train(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ConfigArguments>();
  CLI::App* command = app.add_subcommand(
      "train", "Train a policy by reinforcement learning with verifiable rewards");
  arguments->add_to(*command);
  auto cluster = std::make_shared<std::string>();
  command
      ->add_option("--cluster", *cluster,
                   "etcd://HOST:PORT/NAME: rollout workers are other processes; the same as the "
                   "key cluster.url")
      ->envname(kClusterVariable);
  command->callback([arguments, cluster, &exit_code] {
    // Overrides on the command line come later and therefore win over the environment.
    if (!cluster->empty()) {
      arguments->overrides.insert(arguments->overrides.begin(), "cluster.url='" + *cluster + "'");
    }
    exit_code = finish(
        [&] { return run_with_config<config::TrainConfig>(*arguments, run, reward_types()); });
  });
}

}  // namespace longshot::commands
