#pragma once
// Section [hybrid]: training and rollouts share the memory of a machine and take turns.

#include <string>

#include "base/settings/settings.h"
#include "base/status.h"
#include "config/sections/cluster.h"
#include "config/sections/machine.h"

namespace longshot::config {

struct HybridOptions {
  bool free_cache_engine = false;                         // during the update
  bool optimizer_offload = false, param_offload = false;  // during the rollout
  std::string folder;                                     // of the files; empty: the run folder

  bool offloads() const { return optimizer_offload || param_offload; }
  bool on() const { return free_cache_engine || offloads(); }
};

void bind(Settings& settings, HybridOptions& options);
Status validate(const HybridOptions& options, const MachineOptions& machine,
                const ClusterOptions& cluster);

}  // namespace longshot::config
