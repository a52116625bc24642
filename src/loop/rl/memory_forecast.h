#pragma once
// Memory and disk that a run needs, computed from its configuration and the model's config.json:
// nothing is loaded, so that it can be told under any limit.

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"
#include "model/format/config.h"

namespace longshot::loop {

struct PlanItem {
  std::string name;
  double value = 0;
  std::string note;  // what it is the figure of
};
double total(const std::vector<PlanItem>& items);

// The size of an iteration. Lengths in tokens, on average.
struct IterationSize {
  double groups = 0, n = 0, prompt = 0, response = 0;
  double samples() const { return groups * n; }
  double group_tokens() const { return prompt + n * response; }
};
// With the longest prompts and responses that the configuration allows.
IterationSize largest_size(const config::TrainConfig& config);

struct MemoryPlan {
  int64_t parameters = 0, trained = 0;
  std::vector<PlanItem> items;  // bytes, by category; their sum is the peak
  double certain = 0;           // bytes that every run takes, however short its responses are
};

// Error: the adapter's targets or files do not fit the model.
Result<MemoryPlan> plan_memory(const config::TrainConfig& config, const model::ModelConfig& model,
                               const IterationSize& size);

struct DiskPlan {
  double checkpoint = 0;  // bytes of one
  double run = 0;         // bytes of the kept ones and the one being written
  double free = 0;        // bytes, where the run folder is or will be
};
DiskPlan plan_disk(const config::TrainConfig& config, const model::ModelConfig& model,
                   const MemoryPlan& memory);

// What ends a process that takes more: the smallest of the control group's limit, the limit of the
// address space (which counts more than is used: what is mapped already is taken off), and the
// machine's memory with its swap.
struct MemoryLimit {
  double bytes = 0;
  std::string name;
};
MemoryLimit hard_memory_limit();
// Bytes that can be had at this moment without harm to others.
double memory_at_hand();

// Before anything is loaded. An error if the run cannot fit the hard limit, even with the shortest
// responses; warnings if the longest ones would not fit the memory, or a checkpoint the disk. Other
// devices than the CPU are not looked at.
Status check_resources(const config::TrainConfig& config);
Status check_resources(const config::SftConfig& config);  // the error alone; a reward model's, too

}  // namespace longshot::loop
