#pragma once
// The memory of the processes of a run on many machines.

#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "loop/forecast/memory_forecast.h"
#include "loop/plan/hosts.h"
#include "model/format/config.h"

namespace longshot::loop {

// Bytes by category. "store" is memory that the processes of a host share: the two newest versions
// of the weights.
struct ClusterMemory {
  std::vector<ForecastItem> coordinator;
  std::vector<ForecastItem> trainer;  // each other one; empty if there is none
  std::vector<ForecastItem> worker;   // the one with the most slots
  double trained_parameters = 0;
  double version_bytes = 0;  // of the weights
};

// Error: those of forecast_memory().
Result<ClusterMemory> cluster_memory(const config::TrainConfig& config,
                                     const model::ModelConfig& model, const IterationSize& size,
                                     const Hosts& hosts);

}  // namespace longshot::loop
