#pragma once
// Section [trainer] of an RL run: its length, checkpoints, evaluations and folder.

#include <cstdint>
#include <string>

#include "base/settings/settings.h"

namespace longshot::config {

struct TrainerOptions {
  int64_t total_iterations = 100;
  int64_t total_epochs = 0;
  // The number of iterations follows from the number of training prompts.
  bool counts_epochs() const { return total_epochs > 0; }
  int64_t save_freq = 20;
  int keep_checkpoints = 3;
  bool keep_best = false;
  double best_margin = 0;
  int64_t test_freq = 10;
  int val_n = 1;
  double val_temperature = 0;
  int val_max_prompts = 0;
  bool val_before_train = true;
  bool val_only = false;
  std::string resume_mode = "auto";
  bool resumes_newest() const { return resume_mode == "auto"; }
  bool never_resumes() const { return resume_mode == "disable"; }
  bool names_checkpoint() const { return !resumes_newest() && !never_resumes(); }
  std::string output;
  int64_t seed = 1;
  int lanes = 1;  // a power of two
  int log_samples = 32;
};

void bind(Settings& settings, TrainerOptions& options);

}  // namespace longshot::config
