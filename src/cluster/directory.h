#pragma once
// A small, strongly consistent key-value store that all processes of a run share: who takes part,
// who leads, which version is current. Keys are relative to the run. Values are short texts; a
// whole run has less than 1 MB of them, and a commit at most 128 changes.
//
// Every change gets a revision, a number that grows and is never used twice. The changes of one
// commit, and the removals of one lost lease, have the same revision.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/os/clock.h"
#include "base/status.h"

namespace longshot::cluster {

// A monotonic clock, so that tests can move the time.
using Now = std::function<SteadyClock::time_point()>;

struct Entry {
  std::string key = {};
  std::string value = {};
  int64_t revision = 0;  // of the last change of the key; 0 if the key is absent
  int64_t lease = 0;     // the key is removed with this lease; 0 if it has none
  bool operator==(const Entry&) const = default;
};

struct Listing {
  std::vector<Entry> entries = {};  // sorted by key
  int64_t revision = 0;             // the entries are complete up to this revision
};

// Holds while the last change of `key` has this revision. 0: while the key is absent.
struct Condition {
  std::string key;
  int64_t revision = 0;
};

struct Change {
  std::string key;
  std::optional<std::string> value;  // none: the key is removed; an absent key may be removed
  int64_t lease = 0;                 // 0: the key stays until it is removed
};

struct Commit {
  bool applied = false;
  int64_t revision = 0;  // of the changes, if they were applied
};

struct Lease {
  int64_t id = 0;
  double ttl_seconds = 0;  // at least the requested time
};

struct Event {
  Entry entry;  // of a removed key: no value, no lease, and the revision of its removal
  bool removed = false;
  bool operator==(const Event&) const = default;
};

// Stops watching when it is destroyed, which must not happen in its own callback and must happen
// before the directory is destroyed. It waits for a running callback, and up to 3 s if the store
// does not answer.
class Watch {
 public:
  virtual ~Watch() = default;
};

// Thread-safe. Errors of all calls: unavailable if the store did not answer before the deadline;
// invalid_argument for an empty key, a key that is changed twice in a commit, a commit that is too
// large, and a store that refuses the user; exhausted if the store is full; corrupt for an answer
// that cannot be read.
//
// After `unavailable` a change may have been made, and may even be made a little later. Before the
// deadline a failed attempt is repeated at another server of the store.
class Directory {
 public:
  // Consecutive events, in the order of their revisions; the events of a revision are together.
  using OnEvents = std::function<void(const std::vector<Event>& events)>;

  virtual ~Directory() = default;

  // An absent key is an entry with revision 0.
  virtual Result<Entry> get(const std::string& key, Deadline deadline) = 0;
  // All keys that begin with `prefix`; an empty prefix selects all keys of the run.
  virtual Result<Listing> list(const std::string& prefix, Deadline deadline) = 0;

  // Makes all changes if all conditions hold, otherwise none. not_found if a lease is lost.
  // If the answer to an attempt was lost and the repetition is refused, the commit counts as
  // applied exactly if its changes are in place. Values should therefore name their writer.
  virtual Result<Commit> commit(const std::vector<Condition>& conditions,
                                const std::vector<Change>& changes, Deadline deadline) = 0;
  // Commits of one change without conditions. put() returns the revision.
  Result<int64_t> put(const std::string& key, const std::string& value, int64_t lease,
                      Deadline deadline);
  Status remove(const std::string& key, Deadline deadline);

  // A lease is lost, and its keys are removed, if it is not kept alive for ttl_seconds. etcd rounds
  // up to whole seconds and grants no less than about 1.5 of its election timeouts, which is 2 s.
  virtual Result<Lease> grant(double ttl_seconds, Deadline deadline) = 0;
  // keep_alive() and revoke() return not_found for a lost lease.
  virtual Status keep_alive(int64_t lease, Deadline deadline) = 0;
  virtual Status revoke(int64_t lease, Deadline deadline) = 0;

  // Calls back, on a thread of the watch, for every change of a key with this prefix after `known`,
  // once and in order, also when servers of the store fail and return. An empty `known` reports the
  // current keys as events first. If the store has deleted its history meanwhile ("compaction"),
  // only the last change of each key is reported, and a removal has the revision at which it was
  // noticed; for that `known` needs its entries, otherwise its revision is enough.
  virtual std::unique_ptr<Watch> watch(const std::string& prefix, Listing known,
                                       OnEvents on_events) = 0;
};

// The checks of get() and commit() that need no store.
Status check_key(const std::string& key);
Status check_commit(const std::vector<Condition>& conditions, const std::vector<Change>& changes);

}  // namespace longshot::cluster
