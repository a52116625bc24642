// longshot report: writes an HTML page about one or several runs.

#include "report/report.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/os/output.h"
#include "commands/command.h"
#include "commands/train/train.h"

namespace longshot::commands {
namespace {

struct Arguments {
  std::vector<std::string> runs;
  std::string output = "report.html";
  report::ReportOptions options;
};

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
  command->callback(
      [arguments, &exit_code] { exit_code = finish([&] { return run(*arguments); }); });
}

}  // namespace longshot::commands
