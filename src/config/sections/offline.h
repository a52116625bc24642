#pragma once
// The sections that every offline run has (supervised fine-tuning, reward models): one model,
// trained by passes over fixed rows.

#include <cstdint>
#include <string>
#include <vector>

#include "base/settings/settings.h"
#include "config/sections/machine.h"
#include "config/sections/model.h"
#include "train/options.h"

namespace longshot::config {

struct OfflineData {
  std::vector<std::string> train_files, val_files;
  int max_length = 1024;
  bool streaming = false;
  int shuffle_buffer = 10000;
};

struct OfflineTrainer {
  int64_t total_steps = 0;
  double epochs = 1;
  int64_t save_freq = 500;
  int keep_checkpoints = 1;
  int64_t test_freq = 50;
  std::string output;
  int64_t seed = 1;
};

struct OfflineConfig {
  ModelOptions model;
  OfflineData data;
  train::BatchOptions batch;
  train::OptimizerOptions optimizer;
  OfflineTrainer trainer;
  MachineOptions machine;
};

// How the help of a kind of run differs from another's.
struct OfflineHelp {
  std::string model_path, train_files, val_files, output;
  bool new_model = true;  // without model.path a new model is trained
};
// Binds, in this order, the keys up to data.val_files (the kind's own keys of [data] follow), the
// other keys of [data] (the kind's own section follows), and the rest. `section` is the section of
// the batch-size keys.
void bind_sources(Settings& settings, OfflineConfig& config, const OfflineHelp& help);
void bind_rows(Settings& settings, OfflineConfig& config);
void bind_steps(Settings& settings, OfflineConfig& config, const std::string& section,
                const OfflineHelp& help);

}  // namespace longshot::config
