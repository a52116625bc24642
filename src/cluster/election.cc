#include "cluster/election.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "base/json.h"

namespace longshot::cluster {
namespace {

constexpr double kLongestWait = 1;  // without a change; then the directory is read again

Entry find(const Listing& listing, const std::string& key) {
  for (const Entry& entry : listing.entries)
    if (entry.key == key) return entry;
  return Entry{.key = key};
}

Result<int64_t> read_epoch(const Entry& entry) {
  if (entry.revision == 0) return 0;
  const std::string where = "key '" + entry.key + "'";
  LS_ASSIGN_OR_RETURN(const Json value, parse_json(entry.value, where));
  return json_get<int64_t>(value, "epoch", where);
}

}  // namespace

Election::Election(Directory& directory, const std::string& name, std::string candidate,
                   ElectionOptions options)
    : directory_(directory),
      prefix_(name + "/"),
      leader_key_(prefix_ + "leader"),
      epoch_key_(prefix_ + "epoch"),
      candidate_(std::move(candidate)),
      now_(options.now),
      lease_(directory, options.ttl_seconds, options.now) {}

Election::~Election() {
  resign(Deadline::after_seconds(1));
}

Result<int64_t> Election::campaign(Deadline deadline) {
  if (still_leader()) return epoch_.load();
  heartbeat_.reset();
  for (;;) {
    LS_ASSIGN_OR_RETURN(const Listing listing, directory_.list(prefix_, deadline));
    const auto won = try_to_win(listing, deadline);
    // After these errors the next listing shows what has happened.
    const bool again = won.status().code() == StatusCode::unavailable ||
                       won.status().code() == StatusCode::not_found;
    if (!won.ok() && (!again || deadline.expired())) return won.status();
    if (won.status().code() == StatusCode::not_found) lease_.end(deadline);
    if (won.ok() && *won) return epoch_.load();
    if (won.ok()) wait_for_change(listing, deadline);
    if (deadline.expired()) {
      return timeout_error(
          fmt::format("'{}' has another leader: {}", prefix_, find(listing, leader_key_).value));
    }
  }
}

Result<bool> Election::try_to_win(const Listing& listing, Deadline deadline) {
  const Entry leader = find(listing, leader_key_);
  if (leader.revision == 0) return take(find(listing, epoch_key_), deadline);
  if (leader.lease != 0 && leader.lease == lease_.id()) return reclaim(leader, deadline);
  return false;
}

// This process wrote the key in a commit whose answer was lost, or led before.
Result<bool> Election::reclaim(const Entry& leader, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const Entry entry, lease_.renew(leader_key_, deadline));
  if (entry.revision != leader.revision) return false;
  LS_ASSIGN_OR_RETURN(const int64_t epoch, read_epoch(entry));
  win(epoch, entry.revision);
  return true;
}

Result<bool> Election::take(const Entry& epoch, Deadline deadline) {
  if (!lease_.valid()) LS_RETURN_IF_ERROR(lease_.begin(deadline));
  LS_ASSIGN_OR_RETURN(const int64_t last, read_epoch(epoch));
  const std::string value = dump_json(Json{{"candidate", candidate_}, {"epoch", last + 1}});
  LS_ASSIGN_OR_RETURN(
      const Commit done,
      directory_.commit({{leader_key_, 0}, {epoch_key_, epoch.revision}},
                        {{leader_key_, value, lease_.id()}, {epoch_key_, value}}, deadline));
  if (done.applied) win(last + 1, done.revision);
  return done.applied;
}

void Election::win(int64_t epoch, int64_t revision) {
  epoch_ = epoch;
  revision_ = revision;
  leading_ = ++wins_;
  heartbeat_.emplace(now_, lease_.ttl_seconds() / 3, [this] { return beat(); });
}

void Election::wait_for_change(const Listing& listing, Deadline deadline) {
  std::mutex mutex;
  std::condition_variable changed;
  bool seen = false;
  const auto watch = directory_.watch(prefix_, listing, [&](const std::vector<Event>&) {
    std::lock_guard lock(mutex);
    seen = true;
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  const double seconds = std::min(kLongestWait, deadline.seconds_left());
  changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return seen; });
}

bool Election::still_leader() const {
  int64_t win = leading_;
  if (win == 0) return false;
  if (lease_.valid()) return true;
  // A renewal that is confirmed later must not make it true again.
  leading_.compare_exchange_strong(win, 0);
  return false;
}

double Election::beat() {
  const double third = lease_.ttl_seconds() / 3;
  if (!still_leader()) return third;
  const auto entry = lease_.renew(leader_key_, Deadline::after_seconds(third));
  const bool gone =
      entry.ok() ? entry->revision != revision_ : entry.status().code() == StatusCode::not_found;
  if (gone) leading_ = 0;
  return entry.ok() ? third : third / 4;
}

void Election::resign(Deadline deadline) {
  leading_ = 0;
  heartbeat_.reset();
  lease_.end(deadline);
}

}  // namespace longshot::cluster
