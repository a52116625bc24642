#pragma once
// Control groups for the slots: made once, used for every run, removed at the end. Versions 2, 1, and hosts that mount
// both are understood; a controller that cannot be used is left out.

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::sandbox {

// What groups can do on this host.
struct GroupSupport {
  std::vector<std::filesystem::path> parents;  // directories in which a slot gets a group each
  bool memory = false, processes = false, cpu_time = false;
  std::string note;  // why something is missing
};

// Looks below `root`, so that a test can plant a tree. Version 2 wants the controllers handed to children, and none of
// the group's own processes beside them: `prepare` does so and moves this process, and others in its group, into a child
// "longshot-service".
GroupSupport find_groups(bool prepare, const std::filesystem::path& root = "/");

// The groups of one process's slots. Not thread-safe. The destructor removes them; those of a process that was killed
// are removed by the next sweep().
class SlotGroups {
 public:
  explicit SlotGroups(GroupSupport support) : support_(std::move(support)) {}
  ~SlotGroups();
  SlotGroups(const SlotGroups&) = delete;
  SlotGroups& operator=(const SlotGroups&) = delete;

  // The directories of a new group joined by ':'; empty where there is no support.
  Result<std::string> make(int slot);
  const GroupSupport& support() const { return support_; }

 private:
  const GroupSupport support_;
  std::vector<std::filesystem::path> made_;
};

// Ends the processes in, and removes, groups whose service does not run any more. Returns how many there were.
int sweep_groups(const GroupSupport& support);

}  // namespace longshot::sandbox
