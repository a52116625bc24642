#include "cluster/watch_state.h"

#include <algorithm>
#include <utility>

namespace longshot::cluster {

WatchState::WatchState(std::string prefix, const Listing& known, Directory::OnEvents on_events)
    : prefix_(std::move(prefix)), on_events_(std::move(on_events)), next_(known.revision + 1) {
  for (const Entry& entry : known.entries) known_[entry.key] = entry.revision;
}

void WatchState::report(const std::vector<Event>& events) {
  for (const Event& event : events) {
    if (event.removed) {
      known_.erase(event.entry.key);
    } else {
      known_[event.entry.key] = event.entry.revision;
    }
  }
  if (!events.empty()) on_events_(events);
}

void WatchState::deliver(const std::vector<Event>& events) {
  std::vector<Event> fresh;
  for (const Event& event : events) {
    if (event.entry.revision >= next_ && event.entry.key.starts_with(prefix_))
      fresh.push_back(event);
  }
  if (!fresh.empty()) next_ = fresh.back().entry.revision + 1;
  report(fresh);
}

void WatchState::deliver(const Listing& now) {
  std::vector<Event> changes;
  std::map<std::string, int64_t> gone = known_;
  for (const Entry& entry : now.entries) {
    gone.erase(entry.key);
    const auto known = known_.find(entry.key);
    if (known == known_.end() || known->second < entry.revision) changes.push_back({entry, false});
  }
  for (const auto& [key, revision] : gone)
    changes.push_back({Entry{.key = key, .revision = now.revision}, true});
  std::stable_sort(changes.begin(), changes.end(), [](const Event& a, const Event& b) {
    return a.entry.revision < b.entry.revision;
  });
  next_ = now.revision + 1;
  report(changes);
}

}  // namespace longshot::cluster
