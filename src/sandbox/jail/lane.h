#pragma once
// A lane is a small process that starts one run after another, each in a fresh copy of itself with
// new namespaces.

#include <functional>
#include <optional>

#include "sandbox/jail/supervise.h"
#include "sandbox/job.h"

namespace longshot::sandbox::jail {

// Functions of an interpreter that must be called around a fork that bypasses the C library.
struct ForkHooks {
  std::function<void()> before, after_in_parent;
};

// Overwrites the contents of a job. A run is a copy of its lane, and a warm program can read all of
// its own memory, which must not contain data of earlier jobs or more of its own job than the
// program was given.
void wipe(Job& job);

// Accepts jobs on the socket `channel` and answers each, until the other end is closed. Then the
// process exits and the kernel ends everything below it. In a warm lane the function returns the
// job in every child that is to run it.
Job serve_lane(int channel, const RunContext& context, const ForkHooks& hooks);

}  // namespace longshot::sandbox::jail
