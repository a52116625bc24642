#pragma once
// Persistent child programs that answer JSON lines.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/os/clock.h"
#include "base/os/subprocess.h"

namespace longshot::reward {

struct ProcessOptions {
  std::string name;  // for errors
  SubprocessOptions process;
  bool announces = false;        // the program first prints {"ready": true} or {"error": ...}
  double startup_seconds = 120;  // the limit for that line; not part of a call's deadline
};

// Thread-safe. There are as many workers as the most calls that were ever made at once; an idle
// worker is reused. A worker that failed in any way is killed with its process group, and the next
// call starts another. A program is not started again if it reports that it cannot start, or if its
// first kMaxLost workers are lost before any call is answered: every later call then fails with the
// same reason. What workers print to stderr is logged.
class ProcessPool {
 public:
  explicit ProcessPool(ProcessOptions options) : options_(std::move(options)) {}

  // Starts the first worker, so that a program that cannot start is found before any call. In that
  // case returns invalid_argument.
  Status prepare();

  // Sends one request line and returns one reply line (a JSON object). Errors: timeout; cancelled;
  // unavailable (the worker died or did not start); corrupt (the reply is not a JSON object);
  // invalid_argument (the program is not started again).
  Result<Json> call(const Json& request, Deadline deadline);

 private:
  static constexpr int kMaxLost = 3;

  Result<std::unique_ptr<Subprocess>> take();
  std::unique_ptr<Subprocess> take_idle();
  void give_back(std::unique_ptr<Subprocess> worker);
  Status broken();
  Status give_up(const std::string& reason);
  Status lost(Status failure);
  Result<std::unique_ptr<Subprocess>> start();
  Result<Json> exchange(Subprocess& worker, const std::string& line, Deadline deadline);
  Status describe(Subprocess& worker, const Status& failure);

  const ProcessOptions options_;
  std::mutex first_start_;  // held by the call that starts the first worker; taken before mutex_
  std::mutex mutex_;
  std::atomic<bool> started_ = false;  // a worker has started
  bool answered_ = false;              // a call was answered
  int lost_ = 0;                       // workers lost before any call was answered
  Status broken_;                      // why no other worker is started
  std::vector<std::unique_ptr<Subprocess>> idle_;
};

}  // namespace longshot::reward
