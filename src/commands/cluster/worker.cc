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
namespace {

void add_servers(CLI::App& command, loop::ServerOptions& servers) {
  std::map<std::string, data::EngineKind> kinds;
  for (const auto& [kind, name] : spellings(data::EngineKind{}))
    if (kind != data::EngineKind::longshot) kinds[name] = kind;
  CLI::Option* backend =
      command
          .add_option("--backend", servers.kind,
                      "servers of this engine generate, in place of this process: vllm or sglang; "
                      "needs cluster.exact = false")
          ->transform(CLI::CheckedTransformer(kinds).description(""));
  command.add_option("--url", servers.urls, "http://HOST:PORT of a server; several with commas")
      ->delimiter(',')
      ->needs(backend);
  command
      .add_option("--backend-key", servers.api_key,
                  "sent to the servers as a bearer token; by default $LONGSHOT_BACKEND_KEY")
      ->envname("LONGSHOT_BACKEND_KEY");
  command
      .add_option("--backend-timeout", servers.silence_seconds,
                  "seconds without a token of a sample after which a server has failed")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--verify", servers.verify,
                  "after each load, compare the log-probabilities of a probe with longshot's own, "
                  "which needs memory for a copy of the model")
      ->capture_default_str();
  command
      .add_option("--max-gap", servers.most_gap,
                  "largest mean difference of these log-probabilities, in nats")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace

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
  add_servers(*command, options->servers);
  command->callback([options, &exit_code] {
    exit_code = finish([&] { return loop::run_rollout_worker(*options); });
  });
}

}  // namespace longshot::commands
