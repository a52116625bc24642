#pragma once
// Training of a classic reward model: a score for a whole response, learned from labels or from pairs (report 2.3.5,
// "reward modelling for math"; the losses are in train/loss/preference_loss.h).

#include <string>

#include "base/status.h"
#include "config/config.h"
#include "loop/offline/offline_run.h"

namespace longshot::loop {

// See run_steps() for what it writes and how it resumes. The model is a reward model that goes on learning, a language
// model whose head a score takes the place of, or a new one.
Result<StepResult> run_rm(const config::RmConfig& config, const std::string& config_text);

// For --dry-run: reads model and data as the real run would, and prints what it found to stderr.
Status check_inputs(const config::RmConfig& config);

}  // namespace longshot::loop
