#pragma once
// Supervised fine-tuning: packed rows, loss on response tokens; plain text rows train a language
// model. Also creates new tiny models. Used for vanilla SFT and for the long-CoT warm-up (report
// 2.2).

#include <string>

#include "base/status.h"
#include "config/config.h"
#include "loop/offline/offline_run.h"

namespace longshot::loop {

// See run_steps() for what it writes and how it resumes.
Result<StepResult> run_sft(const config::SftConfig& config, const std::string& config_text);

// For --dry-run: loads model and data as the real run would, and logs their sizes and the first row
// to stderr. With `show_tokens`, also logs the row token by token.
Status check_inputs(const config::SftConfig& config, bool show_tokens = false);

}  // namespace longshot::loop
