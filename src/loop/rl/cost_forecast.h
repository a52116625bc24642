#pragma once
// What a run will need, before it is started: memory from the sizes of everything it holds, time from the speed of the
// run's own parts, which are tried for some seconds.

#include <algorithm>
#include <string>
#include <vector>

#include "config/config.h"
#include "loop/rl/memory_forecast.h"

namespace longshot::loop {

struct PlanOptions {
  int response_length = 0;  // tokens of a response on average; 0: data.max_response_length
  double flat_groups =
      0;  // share of groups whose samples all get the same score: no gradient at the first step
};

struct Plan {
  std::string model;
  int response_length = 0;
  MemoryPlan memory;
  DiskPlan disk;
  MemoryLimit limit;
  double memory_at_hand = 0;      // bytes
  std::vector<PlanItem> seconds;  // of an iteration, by stage; empty if the memory does not suffice

  double memory_peak() const { return total(memory.items); }
  double iteration_seconds() const { return total(seconds); }
  bool fits() const { return memory_peak() <= std::min(limit.bytes, memory_at_hand); }
};

// Reads the configuration's model and data and computes for some seconds, unless the memory does
// not suffice: then nothing is loaded, and the plan is for the longest prompts and responses that
// are allowed. Writes nothing. Iterations of a few seconds are tried whole. What it cannot know: how
// long responses become and how many groups are flat (see the options), and how long rewards take.
Result<Plan> make_plan(const config::TrainConfig& config, const PlanOptions& options);

}  // namespace longshot::loop
