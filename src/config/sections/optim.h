#pragma once
// Section [optim]: AdamW and its learning rate.

#include "base/settings/settings.h"
#include "config/sections/machine.h"
#include "train/options.h"

namespace longshot::config {

void bind(Settings& settings, train::OptimizerOptions& options);

// Error: the device lacks what the keys need.
Status validate(const train::OptimizerOptions& options, const MachineOptions& machine);

}  // namespace longshot::config
