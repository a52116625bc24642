#pragma once
// What a watch has reported: filters repeated events, and finds the events that a listing implies.

#include <map>
#include <string>
#include <vector>

#include "cluster/directory.h"

namespace longshot::cluster {

// Not thread-safe: belongs to the thread of the watch.
class WatchState {
 public:
  WatchState(std::string prefix, const Listing& known, Directory::OnEvents on_events);

  const std::string& prefix() const { return prefix_; }
  // The first revision that has not been reported. 1 if a listing is needed first.
  int64_t next() const { return next_; }
  bool needs_listing() const { return next_ == 1; }

  // Reports the events with this prefix and a revision of at least next(). They must be in order,
  // and all events of a revision must be in the same call.
  void deliver(const std::vector<Event>& events);
  // Reports the differences between what is known and `now`, which replaces it.
  void deliver(const Listing& now);

 private:
  void report(const std::vector<Event>& events);

  const std::string prefix_;
  const Directory::OnEvents on_events_;
  std::map<std::string, int64_t> known_;  // revisions of the keys that exist
  int64_t next_ = 1;
};

}  // namespace longshot::cluster
