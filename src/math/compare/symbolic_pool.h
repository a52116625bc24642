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
  int cpu_milliseconds = 1000;  // processor time of one question
  int megabytes = 1024;         // address space of the worker
};

// Thread-safe. There are as many workers as the most questions that were ever asked at once; one is
// started before the first question. A worker that does not answer in time, or ends, is killed, and
// another one is started at once.
class SymbolicPool {
 public:
  // The program is longshot-symbolic in the folder of the running program, else where it was built.
  // If it cannot be started, the first equal() returns the error.
  SymbolicPool();
  // The pool of this process.
  static SymbolicPool& shared();

  // Returns whether math/symbolic/prove.h proves that the two are equal; unproven pairs are not
  // equal. Errors: exhausted (over the time limit); internal (the worker failed, for example for
  // lack of memory); timeout or cancelled (the deadline, or a stop); not_found (no such program).
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
