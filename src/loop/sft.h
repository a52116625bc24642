#pragma once
// Supervised fine-tuning: packed rows, loss on response tokens; plain text rows train a language
// model. Also makes new tiny models. Used for vanilla SFT and for the long-CoT warm-up
// (report 2.2).

#include <string>

#include "base/status.h"
#include "loop/config.h"

namespace longshot::loop {

struct SftResult {
  int64_t steps = 0;
  double train_loss = 0, val_loss = 0;  // of the last step; val_loss 0 without data.val_files
  int64_t tokens = 0;
  double seconds = 0;
  std::string model_directory;
};

// Writes metrics.jsonl and, at the end or on Ctrl-C, the model to <output>/huggingface (with an
// adapter: the adapter to <output>/adapter). An
// unfinished run resumes from <output>/global_step_N by itself.
Result<SftResult> run_sft(const SftConfig& config, const std::string& config_text);

}  // namespace longshot::loop
