#pragma once
// A lane: a small process that starts one run after the other, each in a fresh copy of itself with new namespaces.

#include <functional>
#include <optional>

#include "sandbox/jail/supervise.h"
#include "sandbox/job.h"

namespace longshot::sandbox::jail {

// What an interpreter wants to be told about copies of it that the C library does not know of.
struct ForkHooks {
  std::function<void()> before, after_in_parent;
};

// Overwrites what a job holds. A run is a copy of its lane, and a warm program can read all of its own memory: there must
// be nothing in it of earlier jobs, nor more of its own than it was given.
void wipe(Job& job);

// Takes jobs from the socket `channel` and answers each, until the other end is closed; then the process exits, and the
// kernel ends whatever still runs below it. In a warm lane it returns the job in every child that is to run it.
Job serve_lane(int channel, const RunContext& context, const ForkHooks& hooks);

}  // namespace longshot::sandbox::jail
