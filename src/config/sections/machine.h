#pragma once
// What computes: keys of [trainer] that every command with a model has.

#include <string>

#include "base/settings/settings.h"

namespace longshot::config {

struct MachineOptions {
  std::string device = "cpu";
  int threads = 0;
  bool is_cpu() const { return device == "cpu"; }
};

void bind_machine(Settings& settings, std::string& device, int& threads);

}  // namespace longshot::config
