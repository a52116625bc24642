#pragma once
// Runs the tasks of a suite one after the other, into a folder.

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "eval/suite/items.h"
#include "eval/suite/suite.h"
#include "eval/suite/task_figures.h"
#include "reward/reward.h"
#include "rollout/engine.h"

namespace longshot::eval {

struct SuiteTask {
  Task task;
  Items items;
};

// Loads the rows of all tasks, or of those in `only`. Error: those of load_items(); a name in
// `only` is not in the suite.
Result<std::vector<SuiteTask>> load_suite(const Suite& suite, const std::vector<std::string>& only,
                                          const tokenizer::Tokenizer& tokenizer,
                                          const tokenizer::ChatTemplate& chat_template,
                                          int max_sequence, int max_rows);

struct SuiteRun {
  std::filesystem::path output;
  std::string model;       // its path
  uint64_t model_key = 0;  // of its content
  uint64_t seed = 1;
  int max_rows = 0;
  int batch = 256;
  std::vector<data::TokenId> end_tokens;
  rollout::Speculation speculation = rollout::Speculation::off;
  reward::RewardOptions reward;                      // without the functions
  std::span<const reward::RewardType> reward_types;  // in addition to the built-in ones
};

// Writes NAME.jsonl for each task, suite.json (what the results depend on) and results.json (the
// figures). Continues what an earlier call with the same output has begun, and keeps the figures of
// tasks that only that call ran. Error: that call had another suite file, model, seed or number of
// rows; a task cannot be run; cancelled; with all files written, no sample of a task was judged.
Result<std::vector<TaskFigures>> run_suite(rollout::Engine& engine, const Suite& suite,
                                           const std::vector<SuiteTask>& tasks,
                                           const SuiteRun& run);

}  // namespace longshot::eval
