#include "commands/judge/sandbox_limits.h"

#include "base/bytes.h"
#include "base/log.h"

namespace longshot::commands {

sandbox::Limits default_limits(const DefaultLimits& defaults) {
  sandbox::Limits limits;
  limits.set_processor_time(defaults.cpu_seconds);
  limits.memory_bytes = static_cast<uint64_t>(defaults.memory_mb * kMiB);
  return limits;
}

void warn_of_weaker_isolation(const sandbox::Isolation& isolation) {
  if (!isolation.groups.memory)
    log::warn("memory is limited a process, not a program: {}", isolation.groups.note);
  if (!isolation.groups.cpu_time)
    log::warn("processor time of running children is not counted: {}", isolation.groups.note);
}

}  // namespace longshot::commands
