#pragma once
// Generation through libtorch on any device it supports, with the layers of the model's one forward
// pass.

#include <memory>
#include <string>

#include "rollout/runner.h"

namespace longshot::rollout {

// device: "cpu", "cuda", ... Weights are copied to it. The KV memory of all blocks is allocated
// with the first weights. Not batch-invariant: libtorch picks other GEMMs for other batch shapes,
// so the last bits of a log-probability, and rarely a token, depend on the batch. A device error
// while generating ends the process.
std::unique_ptr<Runner> make_torch_runner(const RunnerLimits& limits, const std::string& device);

}  // namespace longshot::rollout
