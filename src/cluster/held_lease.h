#pragma once
// A lease that this process holds, as seen by its own clock, and the thread that renews it.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "cluster/directory.h"

namespace longshot::cluster {

// Thread-safe.
class HeldLease {
 public:
  HeldLease(Directory& directory, double ttl_seconds, Now now)
      : directory_(directory), requested_ttl_(ttl_seconds), now_(std::move(now)) {}

  // Takes a new lease; the previous one is left to its end.
  Status begin(Deadline deadline);
  // Keeps the lease alive and reads `key`, which should be under it; the caller compares the
  // entry's lease with id(). not_found if the lease is lost.
  Result<Entry> renew(const std::string& key, Deadline deadline);
  // Revokes the lease, which removes its keys. Without an answer they are removed after its time.
  void end(Deadline deadline);

  // False as soon as the directory may have removed the lease: its time has passed since the last
  // renewal that found `key` under the lease was sent.
  bool valid() const;
  int64_t id() const;          // 0 before begin()
  double ttl_seconds() const;  // as granted; as requested before begin()

 private:
  Directory& directory_;
  const double requested_ttl_;
  const Now now_;
  mutable std::mutex mutex_;
  Lease lease_;
  SteadyClock::time_point valid_until_{};
};

// Calls `beat` on a thread of its own until it is destroyed, which waits for a running call. `beat`
// returns the seconds from its start to the next call; the first one is after `first_seconds`.
class Heartbeat {
 public:
  Heartbeat(Now now, double first_seconds, std::function<double()> beat);
  ~Heartbeat();

  void beat_now();  // does not wait for the call

 private:
  void work(SteadyClock::time_point next);

  const Now now_;
  const std::function<double()> beat_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false, hurry_ = false;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace longshot::cluster
