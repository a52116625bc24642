#pragma once
// Section [data] of an RL run: the problems, and which of them an iteration gets.

#include <string>
#include <vector>

#include "base/settings/settings.h"
#include "datasets/prompts.h"
#include "prompts/sampler.h"

namespace longshot::config {

struct DataOptions {
  std::vector<std::string> train_files, val_files;
  int train_batch_size = 32;
  int max_prompt_length = 512;
  datasets::ColumnMapping columns;
  prompts::SamplerOptions sampler;
};

// `max_response_length` belongs to the sampling of the rollout.
void bind(Settings& settings, DataOptions& options, int& max_response_length);

// Keys that commands have as flags too.
void bind_columns(Settings& settings, datasets::ColumnMapping& columns);
void bind_response_length(Settings& settings, int& max_response_length);

}  // namespace longshot::config
