// longshot select: judged samples -> training rows.

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/os/output.h"
#include "commands/command.h"
#include "commands/data/data.h"
#include "commands/judge/result_files.h"
#include "commands/key_flags.h"
#include "curate/select/select_files.h"
#include "datasets/files.h"

namespace longshot::commands {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string output, funnel;
  curate::RuleOptions rule;
  bool dry_run = false;
};

Status check(const Options& o) {
  if (!o.dry_run && o.output.empty()) return invalid_argument("--out FILE is required");
  if (o.rule.ratio < 1) return invalid_argument("--ratio must be at least 1");
  if (o.output == o.funnel && !o.output.empty())
    return invalid_argument("--out and --funnel cannot both be " + o.output);
  return datasets::check_outputs(o.files, {o.output, o.funnel});
}

Status write_rows(const Options& o) {
  LS_ASSIGN_OR_RETURN(Output output, Output::open(o.output));
  LS_ASSIGN_OR_RETURN(ResultFiles figures, ResultFiles::open(o.funnel, ""));
  LS_ASSIGN_OR_RETURN(const auto funnel,
                      curate::select_files(o.files, o.rule, [&](const OrderedJson& row) {
                        return output.write(dump_json(row) + "\n");
                      }));
  std::FILE* summary = output.is_stdout() ? stderr : figures.summary();
  LS_RETURN_IF_ERROR(output.finish());
  LS_RETURN_IF_ERROR(figures.write_figures(funnel.to_json()));
  fmt::print(summary, "{}", funnel.to_text());
  return ok_status();
}

Status run(Options& o) {
  LS_RETURN_IF_ERROR(check(o));
  if (!o.dry_run) return write_rows(o);
  LS_ASSIGN_OR_RETURN(
      const auto funnel,
      curate::select_files(o.files, o.rule, [](const OrderedJson&) { return ok_status(); }));
  fmt::print("{}nothing is written (--dry-run)\n", funnel.to_text());
  return ok_status();
}

void add_rule_options(CLI::App& command, Options& o) {
  Settings keys;
  keys.add(
      "rule", &o.rule.rule,
      "correct: correct samples; shortest: the shortest correct one; pairs: DPO pairs; best-of: "
      "the one with the highest score");
  keys.add("prefer", &o.rule.prefer, "which correct samples a cap leaves");
  add_key_flags(command, keys, {{"--rule", "rule"}, {"--prefer", "prefer"}});
  command
      .add_option("--per-problem", o.rule.per_problem,
                  "most rows of a prompt; 0 = all with the rules correct and pairs, else 1")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option(
          "--ratio", o.rule.ratio,
          "rule pairs: a correct response is rejected if it is this many times as long as the "
          "chosen one")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--seed", o.rule.seed, "of random choices")->capture_default_str();
  command.add_flag("--duplicates", o.rule.duplicates,
                   "keep responses of a prompt that differ only in white space");
}

void add_filter_options(CLI::App& command, Options& o) {
  auto& f = o.rule.filter;
  const auto add = [&](const char* name, auto& value, const char* help) {
    command.add_option(name, value, help)->check(CLI::NonNegativeNumber)->capture_default_str();
  };
  add("--first", f.first, "use only the first N samples of a prompt; 0 = all");
  add("--min-tokens", f.min_tokens, "of a response; 0 = no limit");
  add("--max-tokens", f.max_tokens, "of a response; 0 = no limit");
  add("--min-chars", f.min_chars, "characters of a response; 0 = no limit");
  add("--max-chars", f.max_chars, "characters of a response; 0 = no limit");
  command.add_option("--min-score", f.min_score, "of a response");
  command.add_flag("--keep-cut", f.keep_cut, "keep responses that were cut at the token limit");
  command
      .add_option("--max-repetition", f.max_repetition,
                  "largest share of a response's word 8-grams that occurred before in it; 1 = off")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  for (const auto mark : all_of<curate::ThinkingMark>()) {
    command
        .add_option(
            fmt::format("--min-{}", name_of(mark)), f.min_marks[static_cast<size_t>(mark)],
            fmt::format("phrases of {} that a response needs; docs/select.md", name_of(mark)))
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
  }
  command
      .add_option("--min-mark-kinds", f.min_mark_kinds,
                  "kinds of these four of which a response needs a phrase")
      ->check(CLI::Range(0, static_cast<int>(curate::kThinkingMarks)))
      ->capture_default_str();
}

}  // namespace

void add_select(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("select", "Make training rows of judged samples: SFT rows or DPO pairs");
  command->footer("Input: samples.jsonl of `longshot sample`; docs/select.md.");
  command->add_option("samples", o->files, "files of judged samples; - is stdin")->required();
  command->add_option("--out", o->output, "JSONL file of training rows; - is stdout");
  command->add_option("--funnel", o->funnel, "write the counts with examples as JSON");
  add_rule_options(*command, *o);
  add_filter_options(*command, *o);
  command->add_flag("--dry-run", o->dry_run, "print the counts and write nothing");
  command->callback([o, &exit_code] { exit_code = finish([&] { return run(*o); }); });
}

}  // namespace longshot::commands
