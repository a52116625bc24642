#include "report/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/os/run_limits.h"

namespace longshot::report {
namespace {

namespace limits = run_limits;

// The iterations in which a metric is above its limit.
struct Excess {
  size_t count = 0;  // iterations
  size_t of = 0;     // iterations that have the metric
  int64_t first = 0, worst_at = 0;
  double worst = 0;
};

Excess excess(const RunData& run, const char* name, double limit) {
  Excess e;
  const auto column = run.metrics.find(name);
  if (column == run.metrics.end()) return e;
  for (size_t i = 0; i < column->second.size(); ++i) {
    const double value = column->second[i];
    if (std::isnan(value)) continue;
    ++e.of;
    if (value <= limit) continue;
    if (e.count++ == 0) e.first = run.steps[i];
    if (e.count == 1 || value > e.worst) e.worst_at = run.steps[i];
    e.worst = std::max(e.worst, value);
  }
  return e;
}

std::string when(const Excess& e) {
  return fmt::format("in {} of {} iterations, first at {}", e.count, e.of, e.first);
}

// The most frequent reason why samples on the page have no verdict, as ": reason"; empty if all
// have one.
std::string frequent_reason(const RunData& run) {
  std::map<std::string, int> counts;
  for (const Json& sample : run.samples) {
    const std::string error = sample.value("error", "");
    if (!error.empty()) ++counts[error];
  }
  const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto most = std::max_element(counts.begin(), counts.end(), fewer);
  return most == counts.end() ? "" : ": " + shortened(most->first, 300);
}

// A sentence if every score was 0 in at least kSilentIterations consecutive iterations, else empty.
std::string silent_course(const RunData& run) {
  const auto low = run.metrics.find("critic/score/min"),
             high = run.metrics.find("critic/score/max");
  if (low == run.metrics.end() || high == run.metrics.end()) return "";
  int64_t longest = 0, current = 0, last = 0;
  for (size_t i = 0; i < run.steps.size(); ++i) {
    if (std::isnan(low->second[i])) continue;  // only an evaluation
    current = low->second[i] == 0 && high->second[i] == 0 ? current + 1 : 0;
    if (current > longest) longest = current, last = run.steps[i];
  }
  if (longest < limits::kSilentIterations) return "";
  return fmt::format("no reward was other than zero for {} iterations one after another, up to {}",
                     longest, last);
}

}  // namespace

std::vector<std::string> find_trouble(const RunData& run) {
  std::vector<std::string> found;
  const auto add = [&](const char* metric, double limit, auto&& text) {
    const Excess e = excess(run, metric, limit);
    if (e.count > 0) found.push_back(text(e));
  };
  add("reward/error_share", 0, [&](const Excess& e) {
    return fmt::format("samples could not be judged and were left out {}; at {} {:.1f} % of them{}",
                       when(e), e.worst_at, 100 * e.worst, frequent_reason(run));
  });
  const std::string silent = silent_course(run);
  if (!silent.empty()) found.push_back(silent);
  add("response_length/clip_ratio", limits::kCutShare, [&](const Excess& e) {
    return fmt::format(
        "more than {:.0f} % of the answers were cut at the maximum length {}; at {} "
        "{:.0f} %",
        100 * limits::kCutShare, when(e), e.worst_at, 100 * e.worst);
  });
  add("critic/groups_without_variance", limits::kFlatShare, [&](const Excess& e) {
    return fmt::format(
        "more than {:.0f} % of the groups were all right or all wrong, without a "
        "gradient, {}",
        100 * limits::kFlatShare, when(e));
  });
  add("training/rollout_probs_diff_mean", limits::kLogprobGap, [&](const Excess& e) {
    return fmt::format(
        "rollout and trainer disagreed by more than {} nats on average {}; at {} by "
        "{:.3g}",
        limits::kLogprobGap, when(e), e.worst_at, e.worst);
  });
  add("actor/skipped_steps", 0, [&](const Excess& e) {
    return fmt::format("optimizer steps were skipped, since a gradient was not finite, {}",
                       when(e));
  });
  return found;
}

}  // namespace longshot::report
