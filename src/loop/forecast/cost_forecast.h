#pragma once
// Predicts the cost of a run before it is started: memory from the sizes of everything it holds,
// time from a trial of the run's own parts for some seconds.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "loop/forecast/memory_forecast.h"
#include "loop/simulation/round.h"

namespace longshot::loop {

struct ForecastOptions {
  int response_length = 0;  // tokens of a response on average; 0: data.max_response_length
  // Share of groups whose samples all get the same score. They have no gradient at the first step,
  // and algorithm.filter_groups replaces them.
  double flat_groups = 0;
  bool steps = false;  // CostForecast::steps is wanted
};

struct CostForecast {
  std::string model;
  int response_length = 0;
  int64_t iterations = 0;  // of the run; 0 if they are epochs and the prompts were not counted
  MemoryForecast memory;
  DiskForecast disk;
  MemoryLimit limit;
  double memory_at_hand = 0;  // bytes
  // Of an iteration, by stage; empty if memory is insufficient.
  std::vector<ForecastItem> seconds;
  IterationSize size;  // that `seconds` are of, with the first round of generation
  // Of this machine with trainer.threads; if wanted, or if there are further rounds.
  std::optional<StepCosts> steps;

  double memory_peak() const { return total(memory.items); }
  double iteration_seconds() const { return total(seconds); }
  double run_seconds() const { return static_cast<double>(iterations) * iteration_seconds(); }
  bool fits() const { return memory_peak() <= std::min(limit.bytes, memory_at_hand); }
};

// Loads the configuration's model and data and runs a trial of some seconds. On a CPU without
// sufficient memory nothing is loaded; the forecast is then for the longest allowed prompts and for
// the response length of the options (the longest allowed by default). Writes nothing. Rollouts and
// updates of a few seconds are tried in full. With algorithm.filter_groups the further rounds of
// generation are simulated (loop/simulation/). The forecast cannot know how long responses become
// and how many groups are flat (see the options), or how long rewards take.
Result<CostForecast> forecast_cost(const config::TrainConfig& config,
                                   const ForecastOptions& options);

}  // namespace longshot::loop
