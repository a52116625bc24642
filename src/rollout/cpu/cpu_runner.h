#pragma once
// Generation on the CPU with the project's own kernels (Highway, run-time dispatch): the same bits
// in any batch.

#include <memory>

#include "rollout/runner.h"

namespace longshot::rollout {

// threads >= 1.
std::unique_ptr<Runner> make_cpu_runner(const RunnerLimits& limits, int threads);

}  // namespace longshot::rollout
