#include "report/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>

namespace longshot::report {
namespace {

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// One value for those of several steps; missing ones are left out.
double joined(const std::string& name, std::span<const double> all) {
  std::vector<double> values;
  std::ranges::copy_if(all, std::back_inserter(values), [](double v) { return !std::isnan(v); });
  if (values.empty()) return kNoValue;
  // A total never falls.
  if (name.ends_with("max") || name == "perf/total_num_tokens") return std::ranges::max(values);
  if (name.ends_with("min")) return std::ranges::min(values);
  return mean_of(values);
}

}  // namespace

RunData averaged(RunData run) {
  const size_t count = run.steps.size(), together = (count + kMaxPoints - 1) / kMaxPoints;
  if (together <= 1) return run;
  run.notes.push_back(
      fmt::format("{}/metrics.jsonl: a point of the charts is the mean of {} steps, or their "
                  "largest or smallest value where the metric is one",
                  run.folder, together));
  std::vector<int64_t> steps;
  for (size_t begin = 0; begin < count; begin += together)
    steps.push_back(run.steps[std::min(begin + together, count) - 1]);
  for (auto& [name, values] : run.metrics) {
    std::vector<double> points;
    for (size_t begin = 0; begin < count; begin += together)
      points.push_back(
          joined(name, std::span(values).subspan(begin, std::min(together, count - begin))));
    values = std::move(points);
  }
  run.steps = std::move(steps);
  return run;
}

std::vector<double> sums_at(const std::vector<int64_t>& steps, const RunData& run,
                            const std::string& metric) {
  std::vector<double> sums;
  const auto column = run.metrics.find(metric);
  if (column == run.metrics.end()) return sums;
  double sum = 0;
  size_t at = 0;
  for (const int64_t step : steps) {
    for (; at < run.steps.size() && run.steps[at] <= step; ++at)
      if (!std::isnan(column->second[at])) sum += column->second[at];
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace longshot::report
