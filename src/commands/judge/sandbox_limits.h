#pragma once
// What `sandbox` and the reward `code` share: limits where a request names none, and what to say of a weaker host.

#include "sandbox/pool.h"

namespace longshot::commands {

struct DefaultLimits {
  double cpu_seconds = 10, memory_mb = 512;
};
sandbox::Limits default_limits(const DefaultLimits& defaults);

// A warning for each limit that this host cannot keep for a program as a whole.
void warn_of_weaker_isolation(const sandbox::Isolation& isolation);

}  // namespace longshot::commands
