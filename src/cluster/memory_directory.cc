#include "cluster/memory_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "cluster/watch_state.h"

namespace longshot::cluster {

// Follows the history of the directory from a position, on a thread of its own.
class MemoryDirectory::MemoryWatch final : public Watch {
 public:
  MemoryWatch(MemoryDirectory& directory, std::string prefix, const Listing& known,
              OnEvents on_events)
      : directory_(directory), state_(std::move(prefix), known, std::move(on_events)) {
    {
      std::lock_guard lock(directory_.mutex_);
      directory_.watches_.insert(this);
    }
    thread_ = std::thread([this] { work(); });
  }
  ~MemoryWatch() override {
    {
      std::lock_guard lock(directory_.mutex_);
      stopping_ = true;
    }
    directory_.changed_.notify_all();
    thread_.join();
    std::lock_guard lock(directory_.mutex_);
    directory_.watches_.erase(this);
  }

  bool settled() const { return started_ && reported_ == directory_.history_.size(); }

 private:
  void work() {
    std::unique_lock lock(directory_.mutex_);
    if (state_.needs_listing()) report(directory_.list_now(state_.prefix()), lock);
    started_ = true;
    while (!stopping_) {
      directory_.remove_lost_leases();
      if (settled()) {
        directory_.settled_.notify_all();
        directory_.changed_.wait_for(lock, std::chrono::milliseconds(5));
        continue;
      }
      const auto begin = directory_.history_.begin() + static_cast<long>(reported_);
      report(std::vector<Event>(begin, directory_.history_.end()), lock);
    }
  }

  template <typename What>
  void report(const What& what, std::unique_lock<std::mutex>& lock) {
    const size_t size = directory_.history_.size();
    lock.unlock();
    state_.deliver(what);
    lock.lock();
    reported_ = size;
  }

  MemoryDirectory& directory_;
  WatchState state_;
  size_t reported_ = 0;  // events of the history
  bool started_ = false, stopping_ = false;
  std::thread thread_;  // last: it uses the members above
};

MemoryDirectory::MemoryDirectory(Now now) : now_(std::move(now)) {}
MemoryDirectory::~MemoryDirectory() = default;

Status MemoryDirectory::begin(Deadline deadline) {
  if (deadline.expired()) return unavailable("directory in memory: no time left");
  remove_lost_leases();
  return ok_status();
}

void MemoryDirectory::remove_lost_leases() {
  const auto now = now_();
  std::vector<int64_t> lost;
  for (const auto& [id, lease] : leases_)
    if (lease.end <= now) lost.push_back(id);
  for (const int64_t id : lost) remove_lease(id);
}

void MemoryDirectory::remove_lease(int64_t lease) {
  leases_.erase(lease);
  std::vector<Change> removals;
  for (const auto& [key, entry] : entries_)
    if (entry.lease == lease) removals.push_back({key, std::nullopt});
  for (const Change& removal : removals) apply(removal, revision_ + 1);
  if (!removals.empty()) ++revision_;
  changed_.notify_all();
}

void MemoryDirectory::apply(const Change& change, int64_t revision) {
  if (change.value) {
    const Entry entry{change.key, *change.value, revision, change.lease};
    entries_[change.key] = entry;
    history_.push_back({entry, false});
  } else if (entries_.erase(change.key) > 0) {
    history_.push_back({Entry{.key = change.key, .revision = revision}, true});
  }
}

bool MemoryDirectory::holds(const Condition& condition) const {
  const auto found = entries_.find(condition.key);
  return condition.revision == (found == entries_.end() ? 0 : found->second.revision);
}

Status MemoryDirectory::check_leases(const std::vector<Change>& changes) const {
  for (const Change& change : changes) {
    if (change.value && change.lease != 0 && !leases_.contains(change.lease))
      return not_found(fmt::format("the lease of key '{}' is lost", change.key));
  }
  return ok_status();
}

Listing MemoryDirectory::list_now(const std::string& prefix) const {
  Listing listing{.revision = revision_};
  for (auto it = entries_.lower_bound(prefix); it != entries_.end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    listing.entries.push_back(it->second);
  }
  return listing;
}

Result<Entry> MemoryDirectory::get(const std::string& key, Deadline deadline) {
  LS_RETURN_IF_ERROR(check_key(key));
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(begin(deadline));
  const auto found = entries_.find(key);
  return found == entries_.end() ? Entry{.key = key} : found->second;
}

Result<Listing> MemoryDirectory::list(const std::string& prefix, Deadline deadline) {
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(begin(deadline));
  return list_now(prefix);
}

Result<Commit> MemoryDirectory::commit(const std::vector<Condition>& conditions,
                                       const std::vector<Change>& changes, Deadline deadline) {
  LS_RETURN_IF_ERROR(check_commit(conditions, changes));
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(begin(deadline));
  for (const Condition& condition : conditions)
    if (!holds(condition)) return Commit{};
  LS_RETURN_IF_ERROR(check_leases(changes));
  const size_t before = history_.size();
  for (const Change& change : changes) apply(change, revision_ + 1);
  if (history_.size() > before) ++revision_;
  changed_.notify_all();
  return Commit{true, revision_};
}

SteadyClock::time_point MemoryDirectory::end_of(double ttl_seconds) const {
  return now_() + std::chrono::duration_cast<SteadyClock::duration>(
                      std::chrono::duration<double>(ttl_seconds));
}

Result<Lease> MemoryDirectory::grant(double ttl_seconds, Deadline deadline) {
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(begin(deadline));
  leases_[++last_lease_] = {ttl_seconds, end_of(ttl_seconds)};
  return Lease{last_lease_, ttl_seconds};
}

Status MemoryDirectory::keep_alive(int64_t lease, Deadline deadline) {
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(begin(deadline));
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return not_found(fmt::format("lease {} is lost", lease));
  found->second.end = end_of(found->second.ttl_seconds);
  return ok_status();
}

Status MemoryDirectory::revoke(int64_t lease, Deadline deadline) {
  std::lock_guard lock(mutex_);
  LS_RETURN_IF_ERROR(begin(deadline));
  if (!leases_.contains(lease)) return not_found(fmt::format("lease {} is lost", lease));
  remove_lease(lease);
  return ok_status();
}

std::unique_ptr<Watch> MemoryDirectory::watch(const std::string& prefix, Listing known,
                                              OnEvents on_events) {
  return std::make_unique<MemoryWatch>(*this, prefix, known, std::move(on_events));
}

void MemoryDirectory::settle() {
  std::unique_lock lock(mutex_);
  remove_lost_leases();
  settled_.wait(lock, [this] {
    return std::all_of(watches_.begin(), watches_.end(),
                       [](const MemoryWatch* watch) { return watch->settled(); });
  });
}

}  // namespace longshot::cluster
