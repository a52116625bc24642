#pragma once
// The presence of a process in the directory: a key that exists as long as the process can reach
// the directory.

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/json.h"
#include "cluster/directory.h"
#include "cluster/held_lease.h"

namespace longshot::cluster {

struct RegistrationOptions {
  double ttl_seconds = 3;  // others see the loss of this process after this time; see grant()
  Now now = SteadyClock::now;
};

// Keeps one key present from a background thread, which renews its lease every third of its time,
// and writes the key again after it was lost. Thread-safe. No other process may use the same key.
class Registration {
 public:
  // Writes the key. Errors are those of Directory. The directory must outlive the registration.
  static Result<std::unique_ptr<Registration>> start(Directory& directory, std::string key,
                                                     const Json& value, RegistrationOptions options,
                                                     Deadline deadline);
  // Removes the key; gives up after a second, and then the key is removed with its lease.
  ~Registration();

  // The background thread writes the new value at once, and again until it succeeds.
  void update(const Json& value);
  // False while the key may have been removed although the process lives.
  bool present() const { return !lost_ && lease_.valid(); }

 private:
  Registration(Directory& directory, std::string key, const Json& value,
               RegistrationOptions options);
  Status enter(Deadline deadline);
  Status renew(Deadline deadline);
  Status write(Deadline deadline);
  double beat();
  std::string value() const;

  Directory& directory_;
  const std::string key_;
  const RegistrationOptions options_;
  HeldLease lease_;
  mutable std::mutex mutex_;
  std::string value_;  // guarded by mutex_
  std::atomic<bool> lost_ = false;
  std::optional<Heartbeat> heartbeat_;  // last: it uses the members above
};

}  // namespace longshot::cluster
