#pragma once
// Memory and disk that a run needs, computed from its configuration and the model's configuration.
// No weights of the model are loaded, so this works under any memory limit.

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"
#include "model/format/config.h"

namespace longshot::loop {

struct ForecastItem {
  std::string name;
  double value = 0;
  std::string note;  // what the value refers to
};
double total(const std::vector<ForecastItem>& items);

// The size of an iteration. Lengths are averages in tokens.
struct IterationSize {
  double groups = 0, n = 0, prompt = 0, response = 0;
  double samples() const { return groups * n; }
  double group_tokens() const { return prompt + n * response; }
};
// The size with the longest prompts and responses that the configuration allows.
IterationSize largest_size(const config::TrainConfig& config);

struct MemoryForecast {
  int64_t parameters = 0, trained = 0;
  // Bytes, by category; their sum is the peak. Of a hybrid run, those of the turn that needs most.
  std::vector<ForecastItem> items;
  double certain = 0;  // bytes that the run needs even with the shortest responses
};

// Error: the adapter's targets or files do not fit the model.
Result<MemoryForecast> forecast_memory(const config::TrainConfig& config,
                                       const model::ModelConfig& model, const IterationSize& size);

struct DiskForecast {
  double checkpoint = 0;  // bytes of one
  double run = 0;         // bytes of the kept ones and the one being written
  double free = 0;        // bytes, where the run folder is or will be
};
DiskForecast forecast_disk(const config::TrainConfig& config, const model::ModelConfig& model,
                           const MemoryForecast& memory);

// The limit above which the process fails or is killed: the smallest of the control group's limit,
// the limit of the address space, and the machine's memory plus swap. Of the address space limit,
// memory that is already mapped but not resident is subtracted, because it counts against the
// limit.
struct MemoryLimit {
  double bytes = 0;
  std::string name;
};
MemoryLimit hard_memory_limit();
// Bytes available now without harm to other processes, including what this process already uses.
double memory_at_hand();

// Checks memory and disk before anything is loaded. invalid_argument if the run cannot fit the hard
// limit even with the shortest responses. Logs a warning if the longest responses would not fit the
// memory, or the checkpoints the disk. Does nothing for devices other than the CPU.
Status check_resources(const config::TrainConfig& config);
// The error only, without warnings. Also for reward models.
Status check_resources(const config::OfflineConfig& config);

}  // namespace longshot::loop
