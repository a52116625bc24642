#pragma once
// Persistent child programs that answer JSON lines.

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/subprocess.h"

namespace longshot::reward {

struct WorkerOptions {
  std::string name;  // for errors
  SubprocessOptions process;
  bool announces = false;        // the program first prints {"ready": true} or {"error": ...}
  double startup_seconds = 120;  // time to do so; not counted against a call's deadline
};

// Thread-safe. As many workers run as calls were ever made at once; an idle one is reused. A worker
// that failed in any way is killed with its process group; the next call starts another.
class WorkerPool {
 public:
  explicit WorkerPool(WorkerOptions options) : options_(std::move(options)) {}

  // One request line, one reply line (a JSON object). timeout, cancelled, unavailable (it died or
  // did not start), corrupt (the reply is not a JSON object).
  Result<Json> call(const Json& request, Deadline deadline);

 private:
  Result<std::unique_ptr<Subprocess>> take();
  Result<std::unique_ptr<Subprocess>> start();
  Result<Json> exchange(Subprocess& worker, const std::string& line, Deadline deadline);
  Status describe(Subprocess& worker, const Status& failure);

  const WorkerOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Subprocess>> idle_;
};

}  // namespace longshot::reward
