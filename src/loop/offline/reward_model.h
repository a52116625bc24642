#pragma once
// Training of a classic reward model: a score for a whole response, trained on labels or pairs
// (report 2.3.5, "reward modelling for math"; the losses are in train/loss/preference_loss.h).

#include <string>

#include "base/status.h"
#include "config/config.h"
#include "loop/offline/offline_run.h"

namespace longshot::loop {

// See run_steps() for what it writes and how it resumes. Starts from a reward model, from a
// language model (whose head is replaced by a score), or from a new model.
Result<StepResult> run_rm(const config::RmConfig& config, const std::string& config_text);

// For --dry-run: loads model and data as the real run would, and logs their sizes and the first row
// to stderr. With `show_tokens`, also logs the row token by token.
Status check_inputs(const config::RmConfig& config, bool show_tokens = false);

}  // namespace longshot::loop
