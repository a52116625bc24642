#pragma once
// The state that a resumed run needs in addition to weights, optimizer moments and replay content.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "base/status.h"
#include "loop/rl/ahead.h"
#include "loop/rl/phase_clock.h"
#include "loop/rl/rounds_ahead.h"
#include "loop/run_folder/best_checkpoint.h"
#include "prompts/sampler.h"

namespace longshot::loop {

// Captured between iterations.
struct RunState {
  int64_t iteration = 0;
  int64_t policy_version = 0;
  int64_t total_tokens = 0;  // generated since the run began
  PhaseState phase;
  std::vector<Evaluated> candidates;  // for the best checkpoint
  prompts::PromptSampler::Snapshot prompts;
  // The samples of the next iteration, if they were generated during the last update.
  std::optional<AheadSamples> ahead;
  // With cluster.staleness above 1: the rounds that were generated ahead.
  std::optional<RoundsAhead::Snapshot> rounds_ahead;
  // Metrics of the finished iteration whose evaluation was interrupted; empty otherwise.
  Metrics unfinished;
};

Json to_json(const RunState& state, const prompts::PromptSampler& sampler);
// Leaves `prompts` empty: the sampler restores it from json["prompts"] itself.
Result<RunState> run_state_from_json(const Json& json, const std::string& where);

}  // namespace longshot::loop
