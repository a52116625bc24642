#pragma once
// Control groups for the slots: created once, used for every run, removed at the end. Supports
// version 2, version 1, and hosts that mount both. A controller that cannot be used is left out.

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::sandbox {

// Capabilities of control groups on this host.
struct GroupSupport {
  std::vector<std::filesystem::path> parents;  // directories in which each slot gets a group
  bool memory = false, processes = false, cpu_time = false;
  std::string note;  // explains what is missing
};

// Searches below `root`, so that a test can supply its own tree. Version 2 requires that
// controllers are handed to child groups and that the group then contains no processes of its own.
// With `prepare`, the controllers are handed on, and this process and others of its group are moved
// into a child group "longshot-service".
GroupSupport find_groups(bool prepare, const std::filesystem::path& root = "/");

// The groups of one process's slots. Not thread-safe. The destructor removes them; the groups of a
// killed process are removed by a later sweep_groups().
class SlotGroups {
 public:
  explicit SlotGroups(GroupSupport support) : support_(std::move(support)) {}
  ~SlotGroups();
  SlotGroups(const SlotGroups&) = delete;
  SlotGroups& operator=(const SlotGroups&) = delete;

  // Creates a group for the slot and returns its directories joined by ':'; empty if groups are not
  // supported.
  Result<std::string> make(int slot);
  const GroupSupport& support() const { return support_; }

 private:
  const GroupSupport support_;
  std::vector<std::filesystem::path> made_;
};

// Removes the groups of services that no longer run, after killing the processes in them. Returns
// the number of groups removed.
int sweep_groups(const GroupSupport& support);

}  // namespace longshot::sandbox
