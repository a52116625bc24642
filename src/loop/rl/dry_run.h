#pragma once
// What `longshot train --dry-run` checks and shows.

#include "base/status.h"
#include "config/config.h"

namespace longshot::loop {

// Loads model and data and builds all parts as the real run would, tries the rewards on one prompt,
// and logs the findings to stderr. `show_tokens`: also generates the run's first answer, and logs
// the tokens of its prompt and of the answer, with their log-probabilities. The overloads for other
// runs are in offline/sft.h, offline/reward_model.h and offline/dpo.h.
Status check_inputs(const config::TrainConfig& config, bool show_tokens = false);

}  // namespace longshot::loop
