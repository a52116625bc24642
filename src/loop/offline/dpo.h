#pragma once
// Direct preference optimization: trains a language model on pairs of a better and a worse response
// (report 2.4, long2short; the losses are in train/loss/dpo_loss.h).

#include <string>

#include "base/status.h"
#include "config/config.h"
#include "loop/offline/offline_run.h"

namespace longshot::loop {

// See run_steps() for what it writes and how it resumes. Before the first step the
// log-probabilities of all rows in memory under the reference model are computed and stored in the
// run folder as reference_train.bin and reference_val.bin (stored_logprobs.h). With data.streaming
// the reference model stays in memory and computes each batch.
Result<StepResult> run_dpo(const config::DpoConfig& config, const std::string& config_text);

// For --dry-run: loads model and data as the real run would, and logs their sizes, the first row
// and what the run will cost to stderr. With `show_tokens`, also logs the row token by token.
Status check_inputs(const config::DpoConfig& config, bool show_tokens = false);

}  // namespace longshot::loop
