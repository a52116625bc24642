#include "loop/rl/phase_clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text/nearest.h"

namespace longshot::loop {
namespace {

const config::Phase* next_phase(const config::TrainConfig& config, const PhaseState& state) {
  const auto& phases = config.phase.phases;
  const auto next = static_cast<size_t>(state.begun);
  return next < phases.size() ? &phases[next] : nullptr;
}

// The finished iterations at which the current schedule ends.
int64_t schedule_end(const config::TrainConfig& config, const PhaseState& state) {
  const auto& phases = config.phase.phases;
  for (size_t i = static_cast<size_t>(state.begun); i < phases.size(); ++i) {
    if (phases[i].when) break;  // it, and all that follow it, begin at an unknown iteration
    if (restarts_schedule(phases[i]))
      return std::min(phases[i].after, config.trainer.total_iterations);
  }
  return config.trainer.total_iterations;
}

}  // namespace

Json to_json(const PhaseState& s) {
  return {{"begun", s.begun},
          {"fulfilled", s.fulfilled},
          {"schedule_iteration", s.schedule_iteration},
          {"schedule_step", s.schedule_step},
          {"tables", s.tables}};
}

Result<PhaseState> phase_state_from_json(const Json& json, const std::string& where) {
  PhaseState s;
  LS_ASSIGN_OR_RETURN(s.begun, json_get<int64_t>(json, "begun", where));
  LS_ASSIGN_OR_RETURN(s.fulfilled, json_get<int64_t>(json, "fulfilled", where));
  LS_ASSIGN_OR_RETURN(s.schedule_iteration, json_get<int64_t>(json, "schedule_iteration", where));
  LS_ASSIGN_OR_RETURN(s.schedule_step, json_get<int64_t>(json, "schedule_step", where));
  s.tables = json.value("tables", Json());
  return s;
}

void watch(const config::TrainConfig& config, const Metrics& metrics, PhaseState& state) {
  const config::Phase* next = next_phase(config, state);
  if (next == nullptr || !next->when) return;
  const auto fulfilled = holds(*next->when, metrics);
  if (fulfilled) state.fulfilled = *fulfilled ? state.fulfilled + 1 : 0;
}

bool is_due(const config::TrainConfig& config, const PhaseState& state, int64_t iteration) {
  const config::Phase* next = next_phase(config, state);
  return next != nullptr && iteration >= next->after &&
         (!next->when || state.fulfilled >= next->times);
}

std::string missing_metric(const config::TrainConfig& config, const PhaseState& state,
                           const Metrics& metrics) {
  const config::Phase* next = next_phase(config, state);
  if (next == nullptr || !next->when || metrics.contains(next->when->metric)) return "";
  std::vector<std::string> names;
  for (const auto& [name, value] : metrics) names.push_back(name);
  const auto near = nearest_word(next->when->metric, names);
  return fmt::format("{} waits for {}, which this run does not report{}", next->name,
                     next->when->metric,
                     near ? "; did you mean " + *near + "?" : "; metrics.jsonl has all metrics");
}

bool restarts_schedule(const config::Phase& phase) {
  for (const char* key : {"optim.lr", "optim.schedule", "optim.warmup_steps", "optim.min_lr_ratio",
                          "algorithm.mini_batches", "algorithm.epochs"}) {
    if (phase.settings.contains(key)) return true;
  }
  return false;
}

int64_t total_iterations(const config::TrainConfig& config, int64_t prompts) {
  if (!config.trainer.counts_epochs()) return config.trainer.total_iterations;
  return config.trainer.total_epochs * (prompts / config.data.train_batch_size);
}

int64_t schedule_steps(const config::TrainConfig& config, const PhaseState& state) {
  return (schedule_end(config, state) - state.schedule_iteration) * config.algorithm.mini_batches *
         config.algorithm.epochs;
}

}  // namespace longshot::loop
