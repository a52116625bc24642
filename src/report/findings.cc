#include "report/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/os/run_limits.h"
#include "base/settings/parse_toml.h"
#include "report/sample_reader.h"
#include "report/warning_kinds.h"

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

bool cuts(const toml::table& settings) {
  const auto rollout = settings["rollout"];
  return rollout["top_p"].value_or(1.0) < 1 || rollout["top_k"].value_or(int64_t{0}) > 0 ||
         rollout["min_p"].value_or(0.0) > 0;
}

// True if a filter cuts the sampling distribution, at the start or in a phase. The
// log-probabilities that the rollout recorded then differ from the trainer's by design.
bool cuts_distribution(const RunData& run) {
  const auto settings = parse_toml(run.config, "config.toml");
  if (!settings.ok()) return false;
  if (cuts(*settings)) return true;
  const toml::array* phases = (*settings)["phase"].as_array();
  return phases != nullptr && std::ranges::any_of(*phases, [](const toml::node& phase) {
           return phase.is_table() && cuts(*phase.as_table());
         });
}

// Collects what the metrics show, and the words of the warnings that say the same.
class Findings {
 public:
  explicit Findings(const RunData& run) : run_(run) {}

  void add(const char* metric, double limit, std::vector<const char*> words, auto&& text) {
    const Excess e = excess(run_, metric, limit);
    if (e.count > 0) add({text(e), when(e)}, std::move(words));
  }
  void add(Trouble trouble, std::vector<const char*> words) {
    found_.push_back(std::move(trouble));
    said_.insert(said_.end(), words.begin(), words.end());
  }
  std::vector<Trouble> take() { return std::move(found_); }
  const std::vector<const char*>& said() const { return said_; }

 private:
  const RunData& run_;
  std::vector<Trouble> found_;
  std::vector<const char*> said_;
};

void look_at_rewards(const RunData& run, Findings& out) {
  out.add("reward/error_share", 0, {limits::kErrorWords}, [&](const Excess& e) {
    return fmt::format(
        "samples could not be judged and were left out, {:.1f} % of them in iteration {}{}",
        100 * e.worst, e.worst_at, frequent_reason(run));
  });
  const std::string silent = silent_course(run);
  if (!silent.empty()) out.add({silent, ""}, {limits::kSilentWords});
  out.add("response_length/clip_ratio", limits::kCutShare, {limits::kCutWords},
          [](const Excess& e) {
            return fmt::format(
                "more than {:.0f} % of the answers were cut at the maximum length, {:.0f} % in "
                "iteration {}",
                100 * limits::kCutShare, 100 * e.worst, e.worst_at);
          });
  out.add("critic/groups_without_variance", limits::kFlatShare, {limits::kFlatWords},
          [](const Excess&) {
            return fmt::format(
                "more than {:.0f} % of the groups were all right or all wrong, without a gradient",
                100 * limits::kFlatShare);
          });
}

void look_at_training(const RunData& run, Findings& out) {
  if (!cuts_distribution(run)) {
    out.add("training/rollout_probs_diff_mean", limits::kLogprobGap, {limits::kGapWords},
            [](const Excess& e) {
              return fmt::format(
                  "rollout and trainer disagreed by more than {} nats on average, by {:.3g} in "
                  "iteration {}",
                  limits::kLogprobGap, e.worst, e.worst_at);
            });
  }
  for (const char* metric : {"actor/skipped_steps", "train/skipped_steps"})
    out.add(metric, 0, {limits::kSkippedWords, limits::kStepWords}, [](const Excess&) {
      return std::string("optimizer steps were skipped, since a gradient was not finite");
    });
}

}  // namespace

std::vector<Trouble> find_trouble(const RunData& run) {
  Findings findings(run);
  look_at_rewards(run, findings);
  look_at_training(run, findings);
  std::vector<Trouble> found = findings.take();
  for (Trouble& kind : warning_kinds(run.warnings, findings.said())) found.push_back(kind);
  return found;
}

}  // namespace longshot::report
