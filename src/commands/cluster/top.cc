// longshot top: shows what the processes of a run on many machines are doing.

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/json.h"
#include "base/os/clock.h"
#include "base/os/stop.h"
#include "commands/cluster/access_flags.h"
#include "commands/cluster/cluster.h"
#include "commands/command.h"
#include "loop/cluster/status.h"

namespace longshot::commands {
namespace {

struct Options {
  config::ClusterAccess access;
  double every = 1;
  bool once = false, json = false;
};

constexpr const char* kClearScreen = "\x1b[H\x1b[2J";

Status run(const Options& options) {
  const bool once = options.once || ::isatty(STDOUT_FILENO) == 0;
  LS_ASSIGN_OR_RETURN(loop::Access access, loop::open_access(options.access));
  while (true) {
    LS_ASSIGN_OR_RETURN(const Json status, loop::fetch_status(access));
    const std::string text =
        options.json ? dump_json(status, 2) + "\n" : loop::status_table(status);
    std::printf("%s%s", once ? "" : kClearScreen, text.c_str());
    std::fflush(stdout);
    if (once || !sleep_unless_stopped(Deadline::after_seconds(options.every))) return ok_status();
  }
}

}  // namespace

void add_top(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("top", "Show the workers of a run on many machines and what they do");
  add_access_flags(*command, options->access);
  command->add_option("--every", options->every, "seconds between two pictures")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--once", options->once, "one picture only, as when it is not a terminal");
  command->add_flag("--json", options->json, "the figures as JSON");
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands
