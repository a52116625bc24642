// longshot curate: raw problems -> a prompt set for RL.

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <memory>

#include "base/os/clock.h"
#include "base/os/folder_lock.h"
#include "base/os/machine.h"
#include "base/progress_line.h"
#include "commands/command.h"
#include "commands/data/curate_model.h"
#include "commands/data/data.h"
#include "curate/stages/funnel.h"
#include "curate/stages/pipeline.h"
#include "datasets/files.h"

namespace longshot::commands {
namespace {

// A flag that sets a key. It is applied after the configuration file, which it overrides.
struct Flag {
  const char* name;
  const char* key;
  std::vector<std::string> words;
};

struct Arguments {
  std::string output, config;
  std::vector<std::string> assignments;
  std::array<Flag, 5> flags = {{{"--eval-files", "contamination.files", {}},
                                {"--hack-samples", "hackable.samples", {}},
                                {"--difficulty-samples", "difficulty.samples", {}},
                                {"--threads", "curate.threads", {}},
                                {"--seed", "curate.seed", {}}}};
  bool dry_run = false, reference = false;
  curate::CurateOptions options;
  curate::CurateKeys keys;
  Settings settings;
  CurateModelOptions model;
};

// The progress of a run: one line a stage.
class Reporter {
 public:
  void update(const std::string& what, int64_t done, int64_t total) {
    if (what != what_) {
      what_ = what;
      line_.start(0, total);
    }
    if (done > 0) line_.update(done, what + (total == 0 ? " " + with_commas(done) : ""));
  }
  void clear() { line_.clear(); }

 private:
  std::string what_;
  ProgressLine line_;
};

Status load(Arguments& arguments) {
  if (!arguments.config.empty())
    LS_RETURN_IF_ERROR(arguments.settings.load_toml_file(arguments.config));
  for (const std::string& text : arguments.assignments)
    LS_RETURN_IF_ERROR(arguments.settings.override_with(text));
  for (const Flag& flag : arguments.flags) {
    if (flag.words.empty()) continue;
    LS_RETURN_IF_ERROR(arguments.settings.set(flag.key, flag.words, flag.name));
  }
  return ok_status();
}

Status run(Arguments& arguments) {
  if (arguments.reference) {
    std::fputs(arguments.settings.to_markdown().c_str(), stdout);
    return ok_status();
  }
  if (arguments.output.empty()) return invalid_argument("--out FOLDER is needed");
  LS_RETURN_IF_ERROR(load(arguments));
  LS_RETURN_IF_ERROR(complete(arguments.options, arguments.keys));
  LS_RETURN_IF_ERROR(
      datasets::check_outputs(arguments.options.files, {arguments.output + "/prompts.jsonl"}));
  arguments.model.inference.seed = arguments.options.seed;
  arguments.model.inference.engine.threads = arguments.options.threads;
  LS_ASSIGN_OR_RETURN(const auto model, make_curate_model(arguments.model));
  if (arguments.dry_run) {
    LS_ASSIGN_OR_RETURN(const std::string plan,
                        make_plan(arguments.options, arguments.settings, model, arguments.output));
    std::fputs(plan.c_str(), stdout);
    return ok_status();
  }
  LS_ASSIGN_OR_RETURN(const auto lock, FolderLock::take(arguments.output));
  Reporter reporter;
  const Stopwatch clock;
  const auto funnel = curate::curate(arguments.options, arguments.settings, model, arguments.output,
                                     [&](const std::string& what, int64_t done, int64_t total) {
                                       reporter.update(what, done, total);
                                     });
  reporter.clear();
  LS_RETURN_IF_ERROR(funnel.status());
  fmt::print("{}", curate::funnel_table(*funnel));
  fmt::print("{0}/prompts.jsonl and {0}/report.html; {1}, peak memory {2:.2f} GiB\n",
             arguments.output, format_duration(clock.seconds()), peak_memory_gib());
  return ok_status();
}

}  // namespace

void add_curate(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  curate::bind(arguments->settings, arguments->options, arguments->keys);
  CLI::App* command = app.add_subcommand(
      "curate", "Turn raw problems into a prompt set for reinforcement learning");
  command->footer(
      "Stages: normalize, format, duplicates, contamination, tags, hackable, difficulty, balance.\n"
      "The same command continues where it was stopped; docs/curate.md.");
  command->add_option("problems", arguments->options.files, "JSONL or parquet files");
  command->add_option("--out", arguments->output, "folder for prompts.jsonl, report.html, ...");
  command->add_option("--config", arguments->config, "TOML file with the settings of the stages");
  command
      ->add_option("--set", arguments->assignments,
                   "KEY=VALUE, e.g. duplicates.threshold=0.9; may be repeated; after --config")
      ->expected(1)
      ->take_all();
  for (Flag& flag : arguments->flags) {
    command->add_option(flag.name, flag.words, arguments->settings.description(flag.key).help)
        ->expected(1)
        ->take_all();
  }
  add_curate_model_options(*command, arguments->model);
  command->add_flag("--dry-run", arguments->dry_run,
                    "print rows, stages, memory and disk, and change nothing");
  command->add_flag("--reference", arguments->reference, "print all keys as Markdown, and stop");
  command->callback(
      [arguments, &exit_code] { exit_code = finish([&] { return run(*arguments); }); });
}

}  // namespace longshot::commands
