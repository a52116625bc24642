#pragma once
// The options that all jobs of a round share, as they travel to workers.

#include "base/json.h"
#include "base/status.h"
#include "rollout/engine.h"

namespace longshot::rollout {

// sampling, repetition and speculation of `options`.
Json sampling_to_json(const EngineOptions& options);
// Error: a member is missing or of another type; the message names it.
Result<EngineOptions> sampling_from_json(const Json& json);

}  // namespace longshot::rollout
