// longshot train: runs RL as described by a configuration file. longshot trainer: the same with
// several processes that train together.

#include <cstdio>
#include <memory>

#include "base/log.h"
#include "base/os/stop.h"
#include "commands/cluster/cluster.h"
#include "commands/judge/reward_types.h"
#include "commands/train/config_arguments.h"
#include "commands/train/train.h"
#include "loop/gang/follow.h"
#include "loop/gang/privacy.h"
#include "loop/rl/run.h"
#include "loop/rl/run_summary.h"
#include "train/shard/group.h"
#include "train/shard/local_address.h"

namespace longshot::commands {
namespace {

Status run(const config::TrainConfig& config, const std::string& text,
           std::shared_ptr<train::Gang> gang) {
  log::info("loading {}", config.model.path);
  LS_ASSIGN_OR_RETURN(auto training, loop::Run::create(config, text, std::move(gang)));
  LS_RETURN_IF_ERROR(training->run());
  if (config.trainer.val_only) return ok_status();
  const std::string summary = loop::summarize_run(config.trainer.output);
  const auto best = training->best();
  const std::string& folder = config.trainer.output;
  log::info(
      "done{}; next: `longshot report {}`, `longshot eval --model {}{} --data FILE --max-tokens "
      "{}`",
      summary.empty() ? "" : ": " + summary, folder, folder, best ? "/best" : "",
      config.rollout.engine.sampling.max_response_length);
  if (best) {
    log::info("best checkpoint: {}/best, that of iteration {}: held-out {:.3f} with {:.0f} tokens",
              folder, best->iteration, best->accuracy, best->length);
  }
  std::printf("%s\n", loop::policy_directory(training->newest_checkpoint()).c_str());
  return ok_status();
}

Status run_alone(const config::TrainConfig& config, const std::string& text) {
  return run(config, text, train::alone());
}

Result<std::shared_ptr<train::Gang>> join(const train::GroupOptions& options,
                                          const config::ClusterOptions& cluster) {
  if (options.size > 1) {
    LS_ASSIGN_OR_RETURN(const std::string own, train::address_towards(options.host, options.port));
    LS_RETURN_IF_ERROR(loop::check_privacy(cluster, own));
  }
  const StopEndsProcess at_once;  // a launcher that has lost another process need not wait
  return train::join_group(options);
}

// Process 0 runs everything, and the others follow it.
Status run_in_gang(const config::TrainConfig& config, const std::string& text) {
  LS_ASSIGN_OR_RETURN(const train::GroupOptions options, train::group_options_of_environment());
  if (options.size > 1)
    log::info("trainer {} of {} joins the others at {}", options.rank, options.size,
              train::meeting_point(options));
  LS_ASSIGN_OR_RETURN(auto gang, join(options, config.cluster));
  return gang->rank() == 0 ? run(config, text, std::move(gang)) : loop::follow(config, text, gang);
}

struct TrainArguments : ConfigArguments {
  std::string cluster;

  void add_to(CLI::App& command) {
    ConfigArguments::add_to(
        command,
        "with --dry-run: also generate the first answer, and show each token of it and of its "
        "prompt");
    command
        .add_option("--cluster", cluster,
                    "etcd://HOST:PORT/NAME: rollout workers are other processes; the same as the "
                    "key cluster.url")
        ->envname(kClusterVariable);
  }
};

using Work = Status (*)(const config::TrainConfig&, const std::string&);

void add(CLI::App& app, int& exit_code, const char* name, const char* help, Work work) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = app.add_subcommand(name, help);
  arguments->add_to(*command);
  command->callback([arguments, work, &exit_code] {
    // Overrides on the command line come later and therefore win over the environment.
    if (!arguments->cluster.empty()) {
      arguments->overrides.insert(arguments->overrides.begin(),
                                  "cluster.url='" + arguments->cluster + "'");
    }
    exit_code = finish(
        [&] { return run_with_config<config::TrainConfig>(*arguments, work, reward_types()); });
  });
}

}  // namespace

void add_train(CLI::App& app, int& exit_code) {
  add(app, exit_code, "train", "Train a policy by reinforcement learning with verifiable rewards",
      run_alone);
}

void add_trainer(CLI::App& app, int& exit_code) {
  add(app, exit_code, "trainer",
      "One of several processes that train a policy together, started by torchrun, srun or a "
      "JobSet (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT)",
      run_in_gang);
}

}  // namespace longshot::commands
