// longshot sandbox: an HTTP service that runs untrusted programs.

#include <fmt/core.h>

#include <cstdio>
#include <memory>

#include "base/bytes.h"
#include "base/os/clock.h"
#include "base/os/stop.h"
#include "commands/command.h"
#include "commands/judge/judge.h"
#include "commands/judge/sandbox_limits.h"
#include "commands/model/http_options.h"
#include "net/http_server.h"
#include "sandbox/sandbox.h"
#include "server/sandbox_routes.h"

namespace longshot::commands {
namespace {

struct Options {
  net::HttpOptions http;
  sandbox::PoolOptions pool;
  bool cold_python = false;
  DefaultLimits limits;
  double max_memory_mb = 4096, grace = 10;
};

Status run(Options& options) {
  return_memory_early();
  options.pool.warm_python = !options.cold_python;
  LS_ASSIGN_OR_RETURN(const auto sandbox, sandbox::Sandbox::create(options.pool));
  warn_of_weaker_isolation(sandbox->pool().isolation());
  net::RequestMetrics requests;
  server::SandboxContext context{.sandbox = *sandbox,
                                 .requests = requests,
                                 .defaults = {.limits = default_limits(options.limits)}};
  context.defaults.max_memory_bytes = static_cast<uint64_t>(options.max_memory_mb * kMiB);
  constexpr int kSpareConnections = 64;  // for /health, and refusals while the queue is full
  options.http.connections =
      sandbox->pool().stats().slots + options.pool.max_waiting + kSpareConnections;
  LS_ASSIGN_OR_RETURN(const auto http,
                      net::HttpServer::start(options.http, sandbox_routes(context), requests));
  fmt::print("sandbox of {} slots for {} on http://{}:{}\n", sandbox->pool().stats().slots,
             language_names(sandbox->languages()), options.http.host, http->port());
  std::fflush(stdout);
  wait_for_stop();
  http->refuse_new();
  return http->drain(options.grace) ? ok_status()
                                    : cancelled("stopped before all requests were answered");
}

void add_limits(CLI::App& command, Options& options) {
  command
      .add_option("--slots", options.pool.slots, "programs run at once; 0 = twice the processors")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--max-waiting", options.pool.max_waiting,
                  "programs that may wait for a slot; requests beyond get status 429")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--cpu-seconds", options.limits.cpu_seconds,
                  "processor time of a program where a request names none")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--memory-mb", options.limits.memory_mb, "its memory where a request names none")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--max-memory-mb", options.max_memory_mb, "the most a request may ask for")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace

void add_sandbox(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  options->http.port = 8080;
  CLI::App* command =
      app.add_subcommand("sandbox", "Serve a sandbox for untrusted programs over HTTP");
  command->footer("HTTP service that runs untrusted programs in jails: /run_code, /run_tests");
  add_http_options(*command, options->http, options->grace);
  command->add_option("--python", options->pool.python,
                      "interpreter of python programs, with the packages it has; default: python3");
  command->add_flag("--cold-python", options->cold_python,
                    "start an interpreter for each program instead of copying a warm one");
  command->add_option(
      "--show", options->pool.directories,
      "a directory that programs see read-only, in addition to /usr; may be repeated");
  command->add_flag("!--no-cgroups", options->pool.use_groups,
                    "do without control groups: memory is limited a process only");
  add_limits(*command, *options);
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands
