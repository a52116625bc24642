#pragma once
// Models for the benchmarks.

#include <memory>
#include <string>

#include "base/status.h"
#include "rollout/testing.h"

namespace longshot::bench {

// Ends the program after printing the error, unless the status is ok.
void must(const Status& status);

// "tiny" and "smollm2": random weights of that shape; anything else is a model's path. Ends the
// program on an error.
std::unique_ptr<rollout::RandomModel> load_bench_model(const std::string& name);

}  // namespace longshot::bench
