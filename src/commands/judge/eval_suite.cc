#include "commands/judge/eval_suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/os/clock.h"
#include "base/os/folder_lock.h"
#include "base/os/fs.h"
#include "base/os/machine.h"
#include "base/os/sampled_checksum.h"
#include "base/rng.h"
#include "commands/judge/reward_types.h"
#include "eval/suite/run_suite.h"

namespace longshot::commands {
namespace {

namespace fs = std::filesystem;

// A checksum of the model's files: a few samples of each.
Result<uint64_t> model_key(const std::string& path) {
  constexpr size_t kSamples = 16;
  if (!fs::is_directory(path)) return sampled_checksum(path, kSamples);
  LS_ASSIGN_OR_RETURN(const auto files, list_files(path));
  uint64_t key = 0;
  for (const std::string& file : files) {
    const std::string end = fs::path(file).extension().string();
    if (end != ".json" && end != ".safetensors" && end != ".jinja" && end != ".gguf") continue;
    LS_ASSIGN_OR_RETURN(const uint64_t one, sampled_checksum(fs::path(path) / file, kSamples));
    key = hash_combine(key, hash_combine(hash64(file), one));
  }
  return key;
}

void print_plan(const std::vector<eval::SuiteTask>& tasks) {
  fmt::print("{:<24} {:<11} {:>7} {:>9} {:>14} {:>15}\n", "task", "kind", "rows", "samples",
             "prompt tokens", "response tokens");
  for (const auto& [task, items] : tasks) {
    const bool generates = task.kind == eval::TaskKind::generate;
    const auto rows = static_cast<int64_t>(items.items.size());
    fmt::print("{:<24} {:<11} {:>7} {:>9} {:>14} {:>15}\n", task.name, name_of(task.kind), rows,
               generates ? rows * task.n : 0, items.prompt_tokens,
               generates ? fmt::format("up to {}", rows * task.n * task.max_tokens)
                         : fmt::format("{}", items.continuation_tokens));
  }
}

std::string percent(double value) {
  return value < 0 ? "" : fmt::format("{:.2f}", 100 * value);
}

void print_table(const std::vector<eval::TaskFigures>& all) {
  fmt::print("{:<24} {:>8} {:>9} {:>16} {:>9} {:>9} {:>8} {:>7}\n", "task", "problems", "pass@1",
             "95 % interval", "acc_norm", "majority", "tokens", "errors");
  for (const eval::TaskFigures& f : all) {
    fmt::print("{:<24} {:>8} {:>9} {:>16} {:>9} {:>9} {:>8} {:>7}\n", f.name, f.problems,
               percent(f.accuracy), percent(f.low) + " to " + percent(f.high),
               percent(f.accuracy_norm), percent(f.majority_vote),
               f.accuracy_norm < 0 ? fmt::format("{:.1f}", f.mean_tokens) : "", f.errors);
    for (const auto& [k, value] : f.pass_at_k)
      if (k > 1) fmt::print("  pass@{:<17} {:>18}\n", k, percent(value));
    for (const auto& [key, value] : f.more)
      if (key.find('/') != key.npos) fmt::print("  {:<31} {:.4f}\n", key, value);
  }
}

struct Loaded {
  model::ModelFiles files;
  std::vector<eval::SuiteTask> tasks;
};

Result<Loaded> load(const SuiteOptions& o, const eval::Suite& suite) {
  Loaded l;
  LS_ASSIGN_OR_RETURN(l.files, inference::open_model(o.model));
  inference::warn_of_date(l.files.chat_template);
  LS_ASSIGN_OR_RETURN(l.tasks,
                      eval::load_suite(suite, o.tasks, *l.files.tokenizer, l.files.chat_template,
                                       model::context_length(l.files.config), o.max_problems));
  return l;
}

// Limits with room for the longest prompt and answer of all tasks.
Result<rollout::RunnerLimits> limits_of(const SuiteOptions& o, const Loaded& l) {
  int prompt = 1, together = 3;
  for (const auto& [task, items] : l.tasks) {
    prompt = std::max(prompt, items.longest_prompt);
    together = std::max(together, items.longest_prompt + std::max(2, items.longest_answer));
  }
  // The longest of both need not be in one row, and each row fits.
  together = std::min(together, model::context_length(l.files.config));
  return inference::limits_for(l.files.config, o.max_concurrent, prompt, together - prompt);
}

}  // namespace

Status run_eval_suite(const SuiteOptions& o) {
  LS_ASSIGN_OR_RETURN(const eval::Suite suite, eval::read_suite(o.file));
  LS_ASSIGN_OR_RETURN(Loaded l, load(o, suite));
  if (o.dry_run) {
    print_plan(l.tasks);
    return ok_status();
  }
  if (o.output.empty()) return invalid_argument("--suite needs --output FOLDER");
  LS_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::take(o.output));
  eval::SuiteRun run;
  run.output = o.output;
  run.model = o.model.path;
  LS_ASSIGN_OR_RETURN(run.model_key, model_key(o.model.path));
  run.seed = o.seed;
  run.max_rows = o.max_problems;
  run.batch = std::max(256, 2 * o.max_concurrent);
  run.end_tokens = l.files.config.eos_token_ids;
  run.speculation = o.speculation;
  run.reward = o.reward;
  run.reward.threads = o.device.threads > 0 ? o.device.threads : usable_cores(inspect_machine());
  run.reward.repetition_penalty = 0;
  run.reward_types = reward_types();
  LS_ASSIGN_OR_RETURN(const rollout::RunnerLimits limits, limits_of(o, l));
  LS_ASSIGN_OR_RETURN(const auto engine,
                      inference::open_engine(o.model, o.device, l.files, limits));
  const Stopwatch watch;
  LS_ASSIGN_OR_RETURN(const auto figures, eval::run_suite(*engine, suite, l.tasks, run));
  print_table(figures);
  fmt::print("{:.1f} s; figures in {}/results.json, one row per problem in {}/TASK.jsonl\n",
             watch.seconds(), o.output, o.output);
  return ok_status();
}

}  // namespace longshot::commands
