#pragma once
// All slots, and the queue for them.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "sandbox/cgroups.h"
#include "sandbox/slot.h"

namespace longshot::sandbox {

struct PoolOptions {
  int slots = 0;           // programs that run at once; 0: twice the usable cores
  int max_waiting = 1024;  // jobs that may wait for a slot; further ones are refused
  int retries = 2;         // after a fault of the sandbox
  std::string python;      // interpreter; empty: the first python3 of /usr/bin and PATH
  bool warm_python = true;
  std::vector<std::string> directories;  // shown read-only at the same path, in addition to /usr
  bool use_groups = true;                // false: behaves as on a host without control groups
  std::string jail_directory;  // folder of longshot-jail; empty: that of the running program
};

struct PoolStats {
  int slots = 0, busy = 0, waiting = 0;
  int64_t runs = 0, faults = 0, restarts = 0, refused = 0, cancelled = 0;
};

// Isolation that this host allows.
struct Isolation {
  bool two_ids = false;  // a run's supervisor has another user id than the program
  GroupSupport groups;
};

// Thread-safe, except for start and destruction.
class Pool {
 public:
  // Removes what a killed service left and starts every slot. Errors: something that the kernel
  // refuses, a missing file, or an invalid option.
  static Result<std::unique_ptr<Pool>> start(const PoolOptions& options);

  // Waits for a slot and runs the job. Repeats the run if the sandbox itself failed; a persistent
  // fault is returned as an Outcome with XX. Errors: exhausted if too many jobs are waiting;
  // cancelled if `cancelled` returned true while the job waited or ran.
  Result<Outcome> run(const Job& job, Lane lane, const std::function<bool()>& cancelled);

  PoolStats stats() const;
  const Isolation& isolation() const { return isolation_; }
  const std::string& python() const { return options_.python; }
  bool has_python_lane() const { return options_.warm_python && !options_.python.empty(); }
  const std::vector<std::string>& directories() const { return options_.directories; }

 private:
  struct Place {
    SlotOptions options;
    std::unique_ptr<Slot> slot;  // none: the next user starts it
  };
  struct Waiter {
    std::condition_variable wake;
    Place* place = nullptr;
  };

  explicit Pool(PoolOptions options, GroupSupport groups);
  Status prepare();
  Status start_slots();
  Result<Place*> acquire(const std::function<bool()>& cancelled);
  void release(Place* place);
  Result<Outcome> run_once(Place& place, const Job& job, Lane lane,
                           const std::function<bool()>& cancelled);

  PoolOptions options_;
  Isolation isolation_;
  SlotGroups groups_;
  std::vector<Place> places_;  // declared after groups_: slots end before their groups are removed
  mutable std::mutex mutex_;
  std::vector<Place*> free_;
  std::list<Waiter*> waiting_;  // first come, first served
  PoolStats stats_;
};

}  // namespace longshot::sandbox
