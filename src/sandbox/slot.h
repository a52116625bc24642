#pragma once
// A slot, in which programs run one at a time: a tree of jail processes (jail/main.cc) and the
// sockets to its two lanes.

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/os/clock.h"
#include "base/status.h"
#include "sandbox/job.h"

namespace longshot::sandbox {

struct SlotOptions {
  std::string jail;     // path of longshot-jail
  std::string library;  // path of the library that turns an interpreter into a lane
  std::string python;   // interpreter of the warm lane; empty: no such lane
  std::vector<std::string> directories;  // mounted read-only in addition to /usr
  std::string groups;                    // from SlotGroups::make()
  unsigned keeper_id = 0;  // as root: the first of two ids that no other slot has; otherwise 0
};

enum class Lane { native, python };

// Not thread-safe: one run at a time. The destructor ends everything that runs in the slot.
class Slot {
 public:
  // Returns when both lanes are ready. Errors name what the kernel refused.
  static Result<std::unique_ptr<Slot>> start(const SlotOptions& options);
  ~Slot();
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  // Runs a job to its end. `cancelled` is called every few hundredths of a second. The job's
  // outcome, including XX, is a value. An error other than cancelled means that the slot is broken
  // and must be replaced.
  Result<Outcome> run(const Job& job, Lane lane, const std::function<bool()>& cancelled);

 private:
  Slot() = default;
  Status spawn(const SlotOptions& options);
  Status await_ready(int channel, Deadline deadline);
  Status broken(const std::string& what);

  pid_t pid_ = -1;
  int native_ = -1, python_ = -1, faults_ = -1;
};

}  // namespace longshot::sandbox
