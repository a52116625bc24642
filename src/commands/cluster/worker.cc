// longshot worker: generates samples for a run that another process leads.

#include <memory>

#include "commands/cluster/access_flags.h"
#include "commands/cluster/cluster.h"
#include "commands/command.h"
#include "commands/key_flags.h"
#include "config/sections/machine.h"
#include "config/sections/rollout.h"
#include "loop/cluster/rollout_worker.h"

namespace longshot::commands {

void add_worker(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<loop::RolloutWorkerOptions>();
  CLI::App* command = app.add_subcommand(
      "worker", "Generate samples for a run on many machines; may join and leave at any time");
  add_access_flags(*command, options->access);
  command->add_option("--name", options->name, "name in logs; by default host and process id");
  Settings keys;
  config::bind_machine(keys, options->device, options->threads);
  config::bind_runner(keys, options->runner);
  add_key_flags(*command, keys,
                {{"--device", "trainer.device"},
                 {"--threads", "trainer.threads"},
                 {"--engine", "rollout.engine"}});
  command
      ->add_option("--slots", options->slots,
                   "samples generated at a time; 0 = rollout.max_concurrent of the run")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--weights-dir", options->weights_dir,
                      "folder for the two newest versions of the weights; by default in /dev/shm");
  command
      ->add_option("--listen", options->listen,
                   "HOST:PORT that serves the weights to other workers; port 0 = any free one")
      ->capture_default_str();
  command->add_option("--advertise", options->advertise,
                      "host name or address by which other workers reach this machine");
  command->callback([options, &exit_code] {
    exit_code = finish([&] { return loop::run_rollout_worker(*options); });
  });
}

}  // namespace longshot::commands
