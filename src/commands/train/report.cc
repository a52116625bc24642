// longshot report: writes an HTML page about one or several runs, or serves one that follows them.

#include "report/report.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/os/output.h"
#include "base/os/stop.h"
#include "commands/command.h"
#include "commands/train/train.h"
#include "net/http_server.h"
#include "report/live.h"

namespace longshot::commands {
namespace {

struct Arguments {
  std::vector<std::string> runs;
  std::string output = "report.html";
  report::ReportOptions options;
  bool serve = false;
  net::HttpOptions http;
};

Status serve(const Arguments& arguments) {
  const std::vector<std::filesystem::path> folders(arguments.runs.begin(), arguments.runs.end());
  LS_RETURN_IF_ERROR(report::make_report(folders, arguments.options).status());
  net::RequestMetrics requests;
  LS_ASSIGN_OR_RETURN(
      const auto http,
      net::HttpServer::start(arguments.http, report::live_routes(folders, arguments.options),
                             requests));
  fmt::print("report on http://{}:{}, Ctrl-C ends it\n", arguments.http.host, http->port());
  std::fflush(stdout);
  wait_for_stop();
  http->refuse_new();
  http->drain(2);
  return ok_status();
}

Status run(const Arguments& arguments) {
  const std::vector<std::filesystem::path> folders(arguments.runs.begin(), arguments.runs.end());
  LS_ASSIGN_OR_RETURN(Output output, Output::open(arguments.output));
  LS_ASSIGN_OR_RETURN(const std::string page, report::make_report(folders, arguments.options));
  std::FILE* const summary = output.is_stdout() ? stderr : stdout;
  LS_RETURN_IF_ERROR(output.write(page));
  LS_RETURN_IF_ERROR(output.finish());
  fmt::print(summary, "{}: {} run{}, {:.1f} MB\n", output.name(), folders.size(),
             folders.size() == 1 ? "" : "s", static_cast<double>(page.size()) / 1e6);
  return ok_status();
}

}  // namespace

void add_report(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("report", "Write an HTML page of curves and samples from run folders");
  command->add_option("runs", arguments->runs, "Run folders (with metrics.jsonl)")->required();
  command->add_option("-o,--output", arguments->output, "File to write; - is stdout")
      ->capture_default_str();
  command->add_option("--title", arguments->options.title, "Heading of the page")
      ->capture_default_str();
  command
      ->add_option("--max-samples", arguments->options.samples.count,
                   "Samples in the page, all runs together")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_flag("--serve", arguments->serve,
                 "serve the page instead, and load it again when a run writes something")
      ->excludes("--output");
  arguments->http.port = 8090;
  arguments->http.access_log = false;
  command->add_option("--host", arguments->http.host, "address of --serve")
      ->needs("--serve")
      ->capture_default_str();
  command->add_option("--port", arguments->http.port, "of --serve; 0 = any free one")
      ->needs("--serve")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command->callback([arguments, &exit_code] {
    exit_code = finish([&] { return arguments->serve ? serve(*arguments) : run(*arguments); });
  });
}

}  // namespace longshot::commands
