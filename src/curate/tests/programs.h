#pragma once
// Runs untrusted programs, which are generators and submissions, in jails.

#include <memory>
#include <string>

#include "base/status.h"
#include "curate/tests/problem.h"
#include "sandbox/sandbox.h"

namespace longshot::curate {

struct ProgramRun {
  bool ok = false;     // ended with exit code 0, within all limits, with valid UTF-8 as output
  std::string output;  // only if ok
  std::string why;     // only if not ok: ending and message, on one line
};

// Thread-safe. Errors of all calls: cancelled by stop_requested(); internal for a fault of the
// sandbox that persists after its retries; invalid_argument for a program that the sandbox cannot
// accept. None of them means that a program is wrong.
class Programs {
 public:
  virtual ~Programs() = default;
  virtual bool offers(const std::string& language) const = 0;
  // Runs a Python program once as `generator.py CASE`, with `random` seeded by (seed, case).
  virtual Result<ProgramRun> generate(const std::string& code, uint64_t seed, int case_number) = 0;
  virtual Result<ProgramRun> run(const Submission& submission, const std::string& input) = 0;
};

struct ProgramLimits {
  double generator_seconds = 10;  // processor time of a run
  double submission_seconds = 4;  // processor time; the default of the reward `code` too
  double memory_mb = 512;
  int max_kb = 1024;  // limit of an input, and of an output
};

// Errors: invalid_argument if the interpreter in the jail cannot import cyaron; those of
// Sandbox::create.
Result<std::unique_ptr<Programs>> make_sandbox_programs(const sandbox::PoolOptions& pool,
                                                        const ProgramLimits& limits);

}  // namespace longshot::curate
