#pragma once
// Flags that are keys of the configuration under another name. Such a flag has the help, the check
// and the choices of the key, so that an option is described once.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/settings/settings.h"

namespace longshot::commands {

struct KeyFlag {
  std::string flag;  // "--temperature"
  std::string key;   // "rollout.temperature"
};

// Adds a flag for each key, which sets the field that the key is bound to. The current value of the
// field is the default. A flag for a list may be given several times.
void add_key_flags(CLI::App& command, const Settings& settings, const std::vector<KeyFlag>& flags);

}  // namespace longshot::commands
