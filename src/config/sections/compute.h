#pragma once
// How the trainer computes its passes: keys of [trainer] that every kind of training has.

#include "base/settings/settings.h"
#include "config/sections/machine.h"
#include "train/options.h"

namespace longshot::config {

void bind(Settings& settings, model::ComputeOptions& options);

// Error: this machine lacks what the keys need.
Status validate(const model::ComputeOptions& options, const MachineOptions& machine);

}  // namespace longshot::config
