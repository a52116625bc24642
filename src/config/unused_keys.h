#pragma once
// Finds keys that were set although nothing reads them in this configuration. Torch-free.

#include <string>
#include <vector>

#include "config/config.h"

namespace longshot::config {

struct UnusedKey {
  std::string key;
  std::string reason;  // "only algorithm.name=grpo reads it"
};

// Considers only keys whose value is not the default. A key that some phase reads is not unused.
std::vector<UnusedKey> unused_keys(const TrainConfig& config);
std::vector<UnusedKey> unused_keys(const OfflineConfig& config);

}  // namespace longshot::config
