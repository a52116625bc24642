#pragma once
// When the phases of an RL run begin (config/phases.h), and which steps their learning rates cover.
// Pure functions of the state, so that a resumed run repeats them.

#include <cstdint>
#include <string>

#include "base/json.h"
#include "base/metrics.h"
#include "base/status.h"
#include "config/config.h"

namespace longshot::loop {

// Part of RunState.
struct PhaseState {
  int64_t begun = 0;      // phases that have begun; 0: the configuration as it is
  int64_t fulfilled = 0;  // reports in a row that fulfil the condition of the next phase
  // Where the learning rate's schedule began: finished iterations and optimizer steps.
  int64_t schedule_iteration = 0, schedule_step = 0;
  // The settings of the phases that have begun; null in checkpoints that do not say.
  Json tables = Json::array();
};

Json to_json(const PhaseState& state);
Result<PhaseState> phase_state_from_json(const Json& json, const std::string& where);

// Counts whether the metrics of a finished iteration fulfil the condition of the next phase.
void watch(const config::TrainConfig& config, const Metrics& metrics, PhaseState& state);
// True if the next phase begins after `iteration` finished iterations. At most one phase begins
// between two iterations.
bool is_due(const config::TrainConfig& config, const PhaseState& state, int64_t iteration);

// What is wrong if the condition of the next phase names a metric that `metrics`, which are all
// that the run reports, do not have; else "".
std::string missing_metric(const config::TrainConfig& config, const PhaseState& state,
                           const Metrics& metrics);

// True if the phase begins the learning rate's schedule anew, with its warm-up: if it sets a key of
// the schedule, or the number of optimizer steps in an iteration.
bool restarts_schedule(const config::Phase& phase);
// trainer.total_iterations, or the number that trainer.total_epochs gives for `prompts` training
// prompts. An epoch has as many iterations as the prompts fill whole batches, as in verl: with 10
// prompts and batches of 4, three epochs are 6 iterations.
int64_t total_iterations(const config::TrainConfig& config, int64_t prompts);

// The optimizer steps of the current schedule: to the end of the run, or to the next phase that
// restarts it if that phase begins at a fixed iteration.
int64_t schedule_steps(const config::TrainConfig& config, const PhaseState& state);

}  // namespace longshot::loop
