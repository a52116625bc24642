#pragma once
// Shared by `sandbox` and the reward `code`: limits for requests that give none, and warnings about
// weaker hosts.

#include "sandbox/pool.h"

namespace longshot::commands {

struct DefaultLimits {
  double cpu_seconds = 10, memory_mb = 512;
};
sandbox::Limits default_limits(const DefaultLimits& defaults);

// Logs a warning for each limit that this host cannot enforce for a program as a whole.
void warn_of_weaker_isolation(const sandbox::Isolation& isolation);

}  // namespace longshot::commands
