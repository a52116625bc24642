#include "cluster/held_lease.h"

#include <utility>

namespace longshot::cluster {
namespace {

constexpr auto kTick = std::chrono::milliseconds(10);

SteadyClock::duration duration_of(double seconds) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

Status HeldLease::begin(Deadline deadline) {
  const auto sent = now_();
  LS_ASSIGN_OR_RETURN(const Lease lease, directory_.grant(requested_ttl_, deadline));
  std::lock_guard lock(mutex_);
  lease_ = lease;
  valid_until_ = sent + duration_of(lease.ttl_seconds);
  return ok_status();
}

Result<Entry> HeldLease::renew(const std::string& key, Deadline deadline) {
  const auto sent = now_();
  const int64_t lease = id();
  LS_RETURN_IF_ERROR(directory_.keep_alive(lease, deadline));
  // A server that does not know yet that it is no longer the leader may confirm a lost lease, but
  // it cannot answer this read.
  LS_ASSIGN_OR_RETURN(Entry entry, directory_.get(key, deadline));
  std::lock_guard lock(mutex_);
  if (entry.lease == lease && lease_.id == lease)
    valid_until_ = sent + duration_of(lease_.ttl_seconds);
  return entry;
}

void HeldLease::end(Deadline deadline) {
  const int64_t lease = id();
  {
    std::lock_guard lock(mutex_);
    lease_ = {};
    valid_until_ = {};
  }
  if (lease != 0) (void)directory_.revoke(lease, deadline);
}

bool HeldLease::valid() const {
  std::lock_guard lock(mutex_);
  return lease_.id != 0 && now_() < valid_until_;
}

int64_t HeldLease::id() const {
  std::lock_guard lock(mutex_);
  return lease_.id;
}

double HeldLease::ttl_seconds() const {
  std::lock_guard lock(mutex_);
  return lease_.id == 0 ? requested_ttl_ : lease_.ttl_seconds;
}

Heartbeat::Heartbeat(Now now, double first_seconds, std::function<double()> beat)
    : now_(std::move(now)), beat_(std::move(beat)) {
  const auto first = now_() + duration_of(first_seconds);
  thread_ = std::thread([this, first] { work(first); });
}

Heartbeat::~Heartbeat() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Heartbeat::beat_now() {
  {
    std::lock_guard lock(mutex_);
    hurry_ = true;
  }
  wake_.notify_all();
}

// The clock may be one that a test moves, so it is read again at every tick.
void Heartbeat::work(SteadyClock::time_point next) {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!hurry_ && now_() < next) {
      wake_.wait_for(lock, kTick);
      continue;
    }
    hurry_ = false;
    lock.unlock();
    const auto start = now_();
    next = start + duration_of(beat_());
    lock.lock();
  }
}

}  // namespace longshot::cluster
