#pragma once
// Compares models by the results of the same suite.

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "eval/suite/task_figures.h"

namespace longshot::eval {

struct Difference {
  double mean = 0;           // of b minus a over the problems
  double low = 0, high = 0;  // 95 % interval: percentiles of the bootstrap
  double worse_share = 0;    // share of resamples in which the sign is another, or 0
};
// Paired bootstrap (Efron and Tibshirani 1993, chapter 16; Koehn, EMNLP 2004): problems are drawn
// with replacement `resamples` times, each with the values of both models. `differences` holds b
// minus a of each problem and must not be empty. The same seed gives the same interval.
Difference paired_bootstrap(const std::vector<double>& differences, int resamples, uint64_t seed);

struct TaskComparison {
  std::string task;
  int64_t problems = 0;            // that both have
  int64_t only_a = 0, only_b = 0;  // left out
  double accuracy_a = 0, accuracy_b = 0;
  double tokens_a = 0, tokens_b = 0;  // mean response length
  Difference accuracy, tokens;
};

// Compares the tasks that both folders (outputs of run_suite) have. Error: they have none, or a
// task has no problem in common or two problems with the same id.
Result<std::vector<TaskComparison>> compare(const std::filesystem::path& a,
                                            const std::filesystem::path& b, int resamples,
                                            uint64_t seed);
OrderedJson to_json(const TaskComparison& comparison);

// The names of the tasks of a folder: its files NAME.jsonl.
Result<std::vector<std::string>> tasks_in(const std::filesystem::path& folder);

}  // namespace longshot::eval
