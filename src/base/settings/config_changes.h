#pragma once
// The differences between two TOML configurations, key by key.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace longshot {

struct ConfigChange {
  std::string key;                         // dotted: optim.lr
  std::optional<std::string> before, now;  // TOML; empty where the key is absent
};

// Sorted by key. The order, comments and layout of the texts do not matter.
Result<std::vector<ConfigChange>> config_changes(const std::string& before, const std::string& now);

// "optim.lr = 1e-05 (was 2e-05)"
std::string to_text(const ConfigChange& change);

}  // namespace longshot
