#pragma once
// One leader among several processes. Each win has an epoch, one greater than that of the win
// before, so that what an old leader sends can be told from what the current one sends.

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "cluster/directory.h"
#include "cluster/held_lease.h"

namespace longshot::cluster {

struct ElectionOptions {
  double ttl_seconds =
      3;  // after a leader's death another one can win after this time; see grant()
  Now now = SteadyClock::now;
};

// Keys: <name>/leader, under the leader's lease, with {"candidate", "epoch"}, and <name>/epoch.
// campaign() and resign() are called by one thread at a time; the other functions are thread-safe.
class Election {
 public:
  // `candidate` names this process in messages, e.g. its host and process id. The directory must
  // outlive the election.
  Election(Directory& directory, const std::string& name, std::string candidate,
           ElectionOptions options = {});
  ~Election();  // resigns; gives up after a second

  // Waits until this process leads and returns the epoch. The epoch is that of the last win if the
  // directory shows that nobody else can have led since. Errors: timeout, naming the leader, if
  // another process leads until the deadline; those of Directory.
  Result<int64_t> campaign(Deadline deadline);

  // False as soon as another process may lead: at the latest one lease time after the last renewal
  // that was confirmed, measured by the clock of this process, without any message. It remains
  // false until the next campaign() succeeds.
  bool still_leader() const;
  int64_t epoch() const { return epoch_; }       // of the last win; 0 before it
  int64_t lease() const { return lease_.id(); }  // its keys are removed when this win ends
  // Holds while this win lasts: a commit with it is refused as soon as the lease is lost, even if
  // this process has not noticed.
  Condition condition() const { return {leader_key_, revision_}; }

  // Lets another process win at once. Does nothing if this process does not lead.
  void resign(Deadline deadline);

 private:
  Result<bool> try_to_win(const Listing& listing, Deadline deadline);
  Result<bool> reclaim(const Entry& leader, Deadline deadline);
  Result<bool> take(const Entry& epoch, Deadline deadline);
  void win(int64_t epoch, int64_t revision);
  void wait_for_change(const Listing& listing, Deadline deadline);
  double beat();

  Directory& directory_;
  const std::string prefix_, leader_key_, epoch_key_, candidate_;
  const Now now_;
  HeldLease lease_;
  mutable std::atomic<int64_t> leading_ =
      0;  // the number of the current win; 0: this process does not lead
  int64_t wins_ = 0;
  std::atomic<int64_t> epoch_ = 0, revision_ = 0;
  std::optional<Heartbeat> heartbeat_;  // last: it uses the members above
};

}  // namespace longshot::cluster
