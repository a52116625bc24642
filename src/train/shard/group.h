#pragma once
// A gang of several processes over libtorch's collectives (c10d) with Gloo. Only group.cc includes
// their headers, which take half a minute to compile.

#include <memory>

#include "base/status.h"
#include "train/shard/gang.h"
#include "train/shard/group_options.h"

namespace longshot::train {

// Joins the group, and waits until all its processes have joined; alone() for a group of one. Every
// process listens only on the address that leads to the meeting point. Errors: unavailable, also if
// a process does not join within options.join_timeout.
Result<std::shared_ptr<Gang>> join_group(const GroupOptions& options);

}  // namespace longshot::train
