#include "cluster/leadership.h"

#include <utility>

namespace longshot::cluster {
namespace {

constexpr double kLookSeconds = 0.5, kRetrySeconds = 0.1;
constexpr double kCallSeconds = 2;  // for one attempt to lead again

}  // namespace

Leadership::Leadership(Directory& directory, const std::string& name, const std::string& candidate,
                       LeadershipOptions options)
    : directory_(directory),
      options_(std::move(options)),
      election_(directory, name, candidate, options_.election) {}

Result<std::unique_ptr<Leadership>> Leadership::win(Directory& directory, const std::string& name,
                                                    const std::string& candidate,
                                                    LeadershipOptions options, Deadline deadline) {
  std::unique_ptr<Leadership> out(new Leadership(directory, name, candidate, std::move(options)));
  LS_RETURN_IF_ERROR(out->election_.campaign(deadline).status());
  out->heartbeat_.emplace(out->options_.election.now, kLookSeconds,
                          [self = out.get()] { return self->beat(); });
  return out;
}

Leadership::~Leadership() {
  heartbeat_.reset();
  election_.resign(Deadline::after_seconds(1));
}

Status Leadership::check() const {
  std::lock_guard lock(mutex_);
  return lost_;
}

void Leadership::fail(const std::string& reason) {
  std::lock_guard lock(mutex_);
  lost_ = unavailable(reason);
}

Status Leadership::announce(const std::string& key, const std::string& value, Deadline deadline) {
  {
    std::lock_guard lock(mutex_);
    announcement_ = Change{key, value};
  }
  // Without effect if the lease has just ended; then the background thread repeats it.
  return put_announcement(deadline).status();
}

Result<bool> Leadership::put_announcement(Deadline deadline) {
  std::optional<Change> change;
  {
    std::lock_guard lock(mutex_);
    change = announcement_;
  }
  if (!change) return true;
  const Condition condition = election_.condition();
  change->lease = election_.lease();
  const auto done = directory_.commit({condition}, {*change}, deadline);
  if (done.status().code() == StatusCode::not_found) return false;  // the lease is lost
  LS_RETURN_IF_ERROR(done.status());
  return done->applied;
}

Result<bool> Leadership::put(const std::string& key, const std::string& value, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const Commit done,
                      directory_.commit({election_.condition()}, {{key, value}}, deadline));
  return done.applied;
}

double Leadership::beat() {
  if (!check().ok()) return kLookSeconds;
  if (election_.still_leader() && !away_) return kLookSeconds;
  if (!std::exchange(away_, true) && options_.on_lost) options_.on_lost();
  if (!lead_again().ok()) return kRetrySeconds;
  away_ = false;
  if (options_.on_back) options_.on_back();
  return kLookSeconds;
}

// Each win adds one to the epoch, so it tells whether another process has led meanwhile.
Status Leadership::lead_again() {
  const Deadline deadline = Deadline::after_seconds(kCallSeconds);
  const int64_t before = election_.epoch();
  const auto epoch = election_.campaign(deadline);
  if (epoch.status().code() == StatusCode::timeout)
    fail("another process leads now: " + epoch.status().message());
  LS_RETURN_IF_ERROR(epoch.status());
  if (*epoch > before + 1) {
    fail("another process has led meanwhile");
    return check();
  }
  LS_ASSIGN_OR_RETURN(const bool announced, put_announcement(deadline));
  return announced ? ok_status() : unavailable("the lease was lost again");
}

}  // namespace longshot::cluster
