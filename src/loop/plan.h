#pragma once
// What a run will need, before it is started: memory from the sizes of everything it holds, time from the speed of the
// run's own parts, which are tried for some seconds.

#include <cstdint>
#include <string>
#include <vector>

#include "loop/config.h"

namespace longshot::loop {

struct PlanOptions {
  int response_length = 0;  // tokens of a response on average; 0: data.max_response_length
  double flat_groups =
      0;  // share of groups whose samples all get the same score: no gradient at the first step
};

struct PlanItem {
  std::string name;
  double value = 0;
  std::string note;  // what it is the figure of
};

struct Plan {
  std::string model;
  int64_t parameters = 0, trained = 0;
  int response_length = 0;
  std::vector<PlanItem> memory;   // bytes, by category
  double usable_memory = 0;       // bytes
  std::vector<PlanItem> seconds;  // of an iteration, by stage

  double memory_peak() const;
  double iteration_seconds() const;
};

// Reads the configuration's model and data and computes for some seconds. Writes nothing. Iterations of a few
// seconds are tried whole. What it cannot know: how long responses become and how many groups are flat (see the
// options), and how long rewards take.
Result<Plan> make_plan(const TrainConfig& config, const PlanOptions& options);

}  // namespace longshot::loop
