#pragma once
// A configuration as a list of keys and values, for readers that know no tables.

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace longshot {

using FlatSettings = std::vector<std::pair<std::string, std::string>>;

// {"optim.lr", "3e-05"}, {"model.path", "runs/model"}, ... of a TOML text, sorted by key. Lists and
// inline tables are values. `where` names the text in errors.
Result<FlatSettings> flat_settings(const std::string& toml, const std::string& where);

}  // namespace longshot
