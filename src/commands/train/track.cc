// longshot track: copies a run's log to a tracking server, while it runs or afterwards.

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/log.h"
#include "base/os/stop.h"
#include "commands/command.h"
#include "commands/train/train.h"
#include "track/tracker.h"

namespace longshot::commands {
namespace {

struct Arguments {
  std::string run;
  track::TrackOptions options;
  bool follow = false;
  double every = 2;
  std::string status = "FINISHED";
};

// Sends until Ctrl-C. A server that fails is asked again: one warning until it answers.
Status follow(track::Tracker& tracker, double every) {
  bool failing = false;
  while (sleep_unless_stopped(Deadline::after_seconds(every))) {
    const auto sent = tracker.send_new();
    if (!sent.ok() && !failing)
      log::warn("{}; tried again every {} s", sent.status().message(), every);
    if (sent.ok() && failing)
      log::info("the server answers again; sent up to step {}", tracker.last_step());
    failing = !sent.ok();
  }
  return tracker.send_new().status();
}

Status run(const Arguments& arguments) {
  LS_ASSIGN_OR_RETURN(const auto tracker, track::Tracker::open(arguments.run, arguments.options));
  if (arguments.follow)
    log::info("following {} as run {}; Ctrl-C ends it", arguments.run, tracker->run_id());
  LS_RETURN_IF_ERROR(arguments.follow ? follow(*tracker, arguments.every)
                                      : tracker->send_new().status());
  LS_RETURN_IF_ERROR(tracker->set_status(arguments.status));
  fmt::print("{}: sent up to step {} as run {}\n", arguments.run, tracker->last_step(),
             tracker->run_id());
  return ok_status();
}

}  // namespace

void add_track(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("track", "Copy a run's settings, metrics and samples to an MLflow server");
  command->add_option("run", arguments->run, "run folder, of a run that is active or has ended")
      ->required();
  command
      ->add_option("--mlflow", arguments->options.url,
                   "http://HOST:PORT of the server; logins as for MLflow's own client")
      ->envname("MLFLOW_TRACKING_URI")
      ->required();
  command->add_option("--experiment", arguments->options.experiment, "made if it does not exist")
      ->envname("MLFLOW_EXPERIMENT_NAME")
      ->capture_default_str();
  command->add_option("--name", arguments->options.name,
                      "name of the run on the server; default: the last part of the folder");
  command->add_flag("--follow", arguments->follow, "continue until Ctrl-C, as the run goes on");
  command->add_option("--every", arguments->every, "seconds between two looks at the folder")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--status", arguments->status, "status of the run on the server at the end")
      ->check(CLI::IsMember({"FINISHED", "FAILED", "KILLED", "RUNNING"}))
      ->capture_default_str();
  command->callback(
      [arguments, &exit_code] { exit_code = finish([&] { return run(*arguments); }); });
}

}  // namespace longshot::commands
