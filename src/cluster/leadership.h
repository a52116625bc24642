#pragma once
// The leadership of a process that leads for as long as it lives: won once, and won again by itself
// after the directory was away for longer than the lease.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cluster/directory.h"
#include "cluster/election.h"
#include "cluster/held_lease.h"

namespace longshot::cluster {

struct LeadershipOptions {
  ElectionOptions election;
  // Called on a background thread when the lease has ended although the process lives, and when it
  // leads again. Either may be null. They must be quick.
  std::function<void()> on_lost, on_back;
};

// Thread-safe.
class Leadership {
 public:
  // Waits until this process leads; `name` and `candidate` are those of Election. The directory
  // must outlive the leadership. Errors are those of Election::campaign().
  static Result<std::unique_ptr<Leadership>> win(Directory& directory, const std::string& name,
                                                 const std::string& candidate,
                                                 LeadershipOptions options, Deadline deadline);
  ~Leadership();  // resigns; gives up after a second

  // Error, for ever: another process leads or has led since win(), so this one must end.
  Status check() const;
  int64_t epoch() const { return election_.epoch(); }  // of the last win

  // Puts a key that exists while this process leads. It is put again after each further win.
  // Called once. Errors are those of Directory.
  Status announce(const std::string& key, const std::string& value, Deadline deadline);

  // Puts a key that stays. False, without effect, if this process does not lead at this moment; it
  // may lead again, unless check() says otherwise. Errors are those of Directory.
  Result<bool> put(const std::string& key, const std::string& value, Deadline deadline);

 private:
  Leadership(Directory& directory, const std::string& name, const std::string& candidate,
             LeadershipOptions options);
  double beat();
  Status lead_again();
  Result<bool> put_announcement(Deadline deadline);
  void fail(const std::string& reason);

  Directory& directory_;
  const LeadershipOptions options_;
  Election election_;
  mutable std::mutex mutex_;
  Status lost_;                         // guarded by mutex_
  std::optional<Change> announcement_;  // guarded by mutex_
  bool away_ = false;                   // of the background thread
  std::optional<Heartbeat> heartbeat_;  // last: it uses the members above
};

}  // namespace longshot::cluster
