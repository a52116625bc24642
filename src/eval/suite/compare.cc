#include "eval/suite/compare.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/rng.h"
#include "eval/suite/task_file.h"

namespace longshot::eval {
namespace {

namespace fs = std::filesystem;

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

// The value below which `share` of the sorted values lie.
double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<size_t>(at);
  const double rest = at - static_cast<double>(i);
  return i + 1 < sorted.size() ? sorted[i] + rest * (sorted[i + 1] - sorted[i]) : sorted[i];
}

Result<std::map<std::string, ProblemFigures>> problems_in(const fs::path& file) {
  LS_ASSIGN_OR_RETURN(const auto rows, read_results(file));
  auto problems = problems_of(rows);
  if (!problems.ok()) return problems.status().with_context(file.string());
  std::map<std::string, ProblemFigures> by_id;
  for (const ProblemFigures& problem : *problems) {
    if (!by_id.emplace(problem.id, problem).second)
      return invalid_argument(file.string() + ": two problems have the id '" + problem.id +
                              "'; give the task an 'id' that differs in each row and run it again "
                              "with another --output");
  }
  return by_id;
}

Result<TaskComparison> compare_task(const std::string& task, const fs::path& a, const fs::path& b,
                                    int resamples, uint64_t seed) {
  LS_ASSIGN_OR_RETURN(const auto first, problems_in(a / (task + ".jsonl")));
  LS_ASSIGN_OR_RETURN(const auto second, problems_in(b / (task + ".jsonl")));
  TaskComparison out;
  out.task = task;
  std::vector<double> accuracy, tokens;
  for (const auto& [id, figures] : first) {
    const auto other = second.find(id);
    if (other == second.end()) {
      ++out.only_a;
      continue;
    }
    accuracy.push_back(other->second.accuracy - figures.accuracy);
    tokens.push_back(other->second.tokens - figures.tokens);
    out.accuracy_a += figures.accuracy;
    out.accuracy_b += other->second.accuracy;
    out.tokens_a += figures.tokens;
    out.tokens_b += other->second.tokens;
  }
  out.problems = static_cast<int64_t>(accuracy.size());
  out.only_b = static_cast<int64_t>(second.size()) - out.problems;
  if (out.problems == 0)
    return invalid_argument("task '" + task + "' has no problem that both models answered");
  for (double* sum : {&out.accuracy_a, &out.accuracy_b, &out.tokens_a, &out.tokens_b})
    *sum /= static_cast<double>(out.problems);
  out.accuracy = paired_bootstrap(accuracy, resamples, seed);
  out.tokens = paired_bootstrap(tokens, resamples, seed);
  return out;
}

OrderedJson to_json(const Difference& d) {
  return {{"difference", d.mean}, {"interval_95", {d.low, d.high}}, {"other_sign", d.worse_share}};
}

}  // namespace

Difference paired_bootstrap(const std::vector<double>& differences, int resamples, uint64_t seed) {
  LS_CHECK(!differences.empty() && resamples > 0, "a bootstrap needs values and resamples");
  Difference out;
  out.mean = mean_of(differences);
  CounterRng random(seed);
  std::vector<double> means;
  int others = 0;
  for (int r = 0; r < resamples; ++r) {
    double sum = 0;
    for (size_t i = 0; i < differences.size(); ++i)
      sum += differences[random.next_below(differences.size())];
    means.push_back(sum / static_cast<double>(differences.size()));
    others += out.mean > 0 ? means.back() <= 0 : means.back() >= 0;
  }
  std::sort(means.begin(), means.end());
  out.low = percentile(means, 0.025);
  out.high = percentile(means, 0.975);
  out.worse_share = static_cast<double>(others) / resamples;
  return out;
}

Result<std::vector<std::string>> tasks_in(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".jsonl") names.push_back(entry.path().stem().string());
  }
  if (error) return invalid_argument(folder.string() + ": " + error.message());
  if (names.empty())
    return invalid_argument(folder.string() +
                            ": no results; give the --output of `longshot eval --suite`");
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<TaskComparison>> compare(const fs::path& a, const fs::path& b, int resamples,
                                            uint64_t seed) {
  LS_ASSIGN_OR_RETURN(const auto first, tasks_in(a));
  LS_ASSIGN_OR_RETURN(const auto second, tasks_in(b));
  std::vector<TaskComparison> out;
  for (const std::string& task : first) {
    if (std::find(second.begin(), second.end(), task) == second.end()) continue;
    LS_ASSIGN_OR_RETURN(TaskComparison one, compare_task(task, a, b, resamples, seed));
    out.push_back(std::move(one));
  }
  if (out.empty())
    return invalid_argument(a.string() + " and " + b.string() + " have no task in common");
  return out;
}

OrderedJson to_json(const TaskComparison& c) {
  return {{"task", c.task},
          {"problems", c.problems},
          {"only_a", c.only_a},
          {"only_b", c.only_b},
          {"accuracy", {{"a", c.accuracy_a}, {"b", c.accuracy_b}}},
          {"accuracy_b_minus_a", to_json(c.accuracy)},
          {"mean_tokens", {{"a", c.tokens_a}, {"b", c.tokens_b}}},
          {"mean_tokens_b_minus_a", to_json(c.tokens)}};
}

}  // namespace longshot::eval
