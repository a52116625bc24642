#pragma once
// What `longshot doctor --plan` says of a run on many machines: costs that are measured on this
// machine, taken from a run or given, and what follows for the machines that are described.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "loop/forecast/cost_forecast.h"
#include "loop/plan/cluster_rows.h"
#include "loop/plan/measured_run.h"
#include "loop/plan/plan_memory.h"

namespace longshot::loop {

struct ClusterOptions {
  Hosts hosts;
  ForecastOptions forecast;
  double response_spread = 0;  // standard deviation, in tokens
  std::optional<MeasuredRun> measured;
};

struct ClusterPlan {
  Hosts hosts;
  int staleness = 0;
  IterationSize size;
  std::string costs_from;        // for people
  PlanCosts costs;               // if there are rows
  std::vector<ClusterRow> rows;  // empty if nothing could be measured: memory is insufficient
  ClusterMemory memory;
};

// With given costs, no weights and data are loaded, and prompts are as long as the configuration
// allows. Otherwise as forecast_cost(); a measured run replaces the seconds of this machine, except
// that decode steps of few and of many samples are tried. Writes nothing. Errors: those of
// forecast_cost(); invalid_argument if the run cannot be distributed in this way.
Result<ClusterPlan> plan_cluster(const config::TrainConfig& config, const ClusterOptions& options);

}  // namespace longshot::loop
