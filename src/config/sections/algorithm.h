#pragma once
// Section [algorithm]: the policy update, and the groups that it gets. docs/algorithms.md explains
// it.

#include "base/settings/settings.h"
#include "train/options.h"

namespace longshot::config {

// Dynamic sampling; verl's names.
struct FilterGroups {
  bool enable = false;
  int max_num_gen_batches = 10;
};

void bind(Settings& settings, train::AlgorithmOptions& options);
void bind(Settings& settings, FilterGroups& options);

}  // namespace longshot::config
