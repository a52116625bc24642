#pragma once
// A Directory inside one process, for tests and simulations. It keeps all its history.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cluster/directory.h"

namespace longshot::cluster {

// Thread-safe. Leases have exactly the requested time, by the clock that was given. A lease that is
// over is removed by the next call, or within 5 ms if there is a watch.
class MemoryDirectory final : public Directory {
 public:
  explicit MemoryDirectory(Now now = SteadyClock::now);
  ~MemoryDirectory() override;

  Result<Entry> get(const std::string& key, Deadline deadline) override;
  Result<Listing> list(const std::string& prefix, Deadline deadline) override;
  Result<Commit> commit(const std::vector<Condition>& conditions,
                        const std::vector<Change>& changes, Deadline deadline) override;
  Result<Lease> grant(double ttl_seconds, Deadline deadline) override;
  Status keep_alive(int64_t lease, Deadline deadline) override;
  Status revoke(int64_t lease, Deadline deadline) override;
  std::unique_ptr<Watch> watch(const std::string& prefix, Listing known,
                               OnEvents on_events) override;

  // Returns when the leases that are over are removed and every watch has reported all events.
  // Must not be called by a callback.
  void settle();

 private:
  class MemoryWatch;
  struct HeldLease {
    double ttl_seconds = 0;
    SteadyClock::time_point end;
  };

  // The functions below need the mutex.
  void remove_lost_leases();
  void remove_lease(int64_t lease);
  void apply(const Change& change, int64_t revision);
  Status begin(Deadline deadline);
  Status check_leases(const std::vector<Change>& changes) const;
  bool holds(const Condition& condition) const;
  Listing list_now(const std::string& prefix) const;
  SteadyClock::time_point end_of(double ttl_seconds) const;

  const Now now_;
  std::mutex mutex_;
  std::condition_variable changed_;  // there are new events
  std::condition_variable settled_;  // a watch has reported all events
  std::map<std::string, Entry> entries_;
  std::map<int64_t, HeldLease> leases_;
  std::vector<Event> history_;
  std::set<MemoryWatch*> watches_;
  int64_t revision_ = 1;
  int64_t last_lease_ = 0;
};

}  // namespace longshot::cluster
