#pragma once
// Symbolic equality under a limit of processor time and memory, in worker processes.

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/os/clock.h"
#include "base/os/subprocess.h"
#include "base/status.h"
#include "math/symbolic/expression.h"

namespace longshot::math {

struct SymbolicLimits {
  int cpu_milliseconds = 1000;  // of one question
  int megabytes = 1024;         // address space of the worker
};

// Thread-safe. As many workers as questions were ever asked at once; one is started before the first question. A
// worker that does not answer in time, or ends, is killed and another one started at once.
class SymbolicPool {
 public:
  // The program is longshot-symbolic beside the running one, else where it was built. Errors come from the first ask().
  SymbolicPool();
  // The pool of this process.
  static SymbolicPool& shared();

  // Whether math/symbolic/prove.h finds the two equal; what it cannot prove is not equal. exhausted: over the
  // limits; timeout or cancelled: the deadline, or a stop; internal: the worker failed; not_found: no such program.
  Result<bool> equal(const Expression& a, const Expression& b, bool positive,
                     const SymbolicLimits& limits, Deadline deadline);

 private:
  struct Worker {
    std::unique_ptr<Subprocess> process;
    int questions = 0;
  };
  Result<Worker> start() const;
  Result<Worker> take();
  void put(Worker worker);
  Result<std::string> ask(Worker& worker, const std::string& line, const SymbolicLimits& limits,
                          Deadline deadline);

  const std::string program_;
  std::mutex mutex_;
  std::vector<Worker> idle_;
};

}  // namespace longshot::math
