#pragma once
// The control group of a lane, accessed through files that were opened before the lane gave up its
// rights. Every process of the lane and of its runs is born in the group, so no process is moved
// when a run begins.

#include <cstdint>
#include <optional>
#include <string>

namespace longshot::sandbox::jail {

// Not thread-safe. A default object (no group) limits and reports nothing.
class Group {
 public:
  // Descriptors of the files, -1 for missing ones. File names in version 2, then in version 1:
  int memory_limit = -1;   // memory.max, memory.limit_in_bytes
  int swap_limit = -1;     // memory.swap.max, memory.memsw.limit_in_bytes
  int memory_usage = -1;   // memory.current, memory.usage_in_bytes
  int memory_peak = -1;    // memory.peak, memory.max_usage_in_bytes
  int memory_events = -1;  // memory.events, memory.oom_control
  int processes = -1;      // pids.max
  int cpu_usage = -1;      // cpu.stat, cpuacct.usage
  bool version_2 = false;

  // Opens the files of the groups `names` (directories, joined by ':') and moves this process into
  // the groups.
  static Group join(const std::string& names);

  // Passes the group across an exec; the descriptors remain open.
  std::string to_text() const;
  static Group from_text(const std::string& text);

  // Must be called before each run.
  void begin(uint64_t memory_bytes, uint32_t processes_most);
  // Since begin().
  bool out_of_memory() const { return kills() > kills_before_; }
  uint64_t peak() const;                      // bytes above the usage at begin(); 0: not known
  std::optional<double> cpu_seconds() const;  // since the group was made
  bool limits_memory() const { return memory_limit >= 0; }

 private:
  uint64_t kills() const;

  uint64_t limit_now_ = 0, processes_now_ = 0, usage_before_ = 0, kills_before_ = 0;
  bool peak_is_new_ = false;
};

}  // namespace longshot::sandbox::jail
