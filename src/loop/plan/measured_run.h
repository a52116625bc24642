#pragma once
// What a finished or running run in one process has measured, for a plan.

#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::loop {

struct MeasuredRun {
  std::string folder;
  int iterations = 0;        // that count: all but the first one, if there are several
  std::vector<int> lengths;  // tokens of the responses in samples/
  // Medians over the iterations, in seconds.
  double generation = 0, update = 0, publish = 0;
  double reward = 0;  // to judge a sample
  // Share of the groups that algorithm.filter_groups replaces.
  double flat_groups = 0;
};

// `config_text`: the full configuration of the plan. `filters`: algorithm.filter_groups is on
// in it. Errors name the folder: a file is missing; invalid_argument if there is no finished
// iteration or no sample, if workers generated the samples, or if a setting on which these figures
// depend differs: the model, the batch, the threads and the like.
Result<MeasuredRun> read_measured_run(const std::string& folder, const std::string& config_text,
                                      bool filters);

}  // namespace longshot::loop
