#pragma once
// Section [algorithm]: the policy update. docs/algorithms.md explains it.

#include "base/settings/settings.h"
#include "train/options.h"

namespace longshot::config {

void bind(Settings& settings, train::AlgorithmOptions& options);

}  // namespace longshot::config
