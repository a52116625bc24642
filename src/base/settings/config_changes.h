#pragma once
// What differs between two configurations in TOML, key by key.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace longshot {

struct ConfigChange {
  std::string key;                         // dotted: optim.lr
  std::optional<std::string> before, now;  // TOML; none where the key is absent
};

// In alphabetical order of the keys. Order, comments and layout of the texts do not matter.
Result<std::vector<ConfigChange>> config_changes(const std::string& before, const std::string& now);

// "optim.lr = 1e-05 (was 2e-05)"
std::string to_text(const ConfigChange& change);

}  // namespace longshot
