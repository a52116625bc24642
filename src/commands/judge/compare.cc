// longshot compare: models by their results on the same suite.

#include <fmt/format.h>

#include <memory>

#include "commands/command.h"
#include "commands/judge/judge.h"
#include "commands/judge/result_files.h"
#include "eval/suite/compare.h"
#include "eval/suite/plot.h"

namespace longshot::commands {
namespace {

struct Options {
  std::vector<std::string> folders;
  std::string output, plot;
  int resamples = 10000;
  uint64_t seed = 1;
};

void print(std::FILE* out, const std::string& a, const std::string& b,
           const std::vector<eval::TaskComparison>& tasks) {
  fmt::print(out, "{} (a) and {} (b)\n", a, b);
  fmt::print(out, "{:<24} {:>8} {:>8} {:>8} {:>8} {:>18} {:>10} {:>9} {:>9}\n", "task", "problems",
             "a", "b", "b - a", "95 % interval", "other sign", "tokens a", "tokens b");
  for (const eval::TaskComparison& c : tasks) {
    fmt::print(out, "{:<24} {:>8} {:>8.2f} {:>8.2f} {:>+8.2f} {:>18} {:>10.4f} {:>9.1f} {:>9.1f}\n",
               c.task, c.problems, 100 * c.accuracy_a, 100 * c.accuracy_b, 100 * c.accuracy.mean,
               fmt::format("{:+.2f} to {:+.2f}", 100 * c.accuracy.low, 100 * c.accuracy.high),
               c.accuracy.worse_share, c.tokens_a, c.tokens_b);
    if (c.only_a + c.only_b > 0)
      fmt::print(out, "  left out: {} problems only in a, {} only in b\n", c.only_a, c.only_b);
  }
}

Status run(const Options& o) {
  LS_ASSIGN_OR_RETURN(ResultFiles files, ResultFiles::open(o.output, o.plot));
  OrderedJson json = OrderedJson::array();
  for (size_t i = 1; i < o.folders.size(); ++i) {
    LS_ASSIGN_OR_RETURN(const auto tasks,
                        eval::compare(o.folders[0], o.folders[i], o.resamples, o.seed));
    print(files.summary(), o.folders[0], o.folders[i], tasks);
    OrderedJson one = {{"a", o.folders[0]}, {"b", o.folders[i]}, {"tasks", OrderedJson::array()}};
    for (const auto& task : tasks) one["tasks"].push_back(eval::to_json(task));
    json.push_back(std::move(one));
  }
  LS_ASSIGN_OR_RETURN(const std::string page, eval::efficiency_page(o.folders));
  LS_RETURN_IF_ERROR(files.write_rows([&] { return page; }));
  return files.write_figures({{"resamples", o.resamples}, {"seed", o.seed}, {"comparisons", json}});
}

}  // namespace

void add_compare(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "compare", "Compare models by their results on the same suite, problem by problem");
  command
      ->add_option("folders", o->folders,
                   "outputs of `longshot eval --suite`; all are compared "
                   "with the first")
      ->required()
      ->expected(2, 1000)
      ->option_text("FOLDER FOLDER ... REQUIRED");
  command->add_option("--output", o->output, "write the comparisons as JSON");
  command->add_option("--plot", o->plot, "write accuracy against mean response tokens as HTML");
  command->add_option("--resamples", o->resamples, "of the bootstrap")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--seed", o->seed, "of the bootstrap")->capture_default_str();
  command->callback([o, &exit_code] { exit_code = finish([&] { return run(*o); }); });
}

}  // namespace longshot::commands
