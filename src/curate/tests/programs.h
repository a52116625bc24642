#pragma once
// Running what nobody trusts: generators and submissions, in jails.

#include <memory>
#include <string>

#include "base/status.h"
#include "curate/tests/problem.h"
#include "sandbox/sandbox.h"

namespace longshot::curate {

struct ProgramRun {
  bool ok = false;     // ended with exit code 0, within all limits, its output valid UTF-8
  std::string output;  // of one that did
  std::string why;     // of one that did not: verdict and message, on one line
};

// Thread-safe. Errors of all calls: cancelled by stop_requested(); internal for a fault of the sandbox that stayed after
// its retries; invalid_argument for a program that the sandbox cannot take. None of them says that a program is wrong.
class Programs {
 public:
  virtual ~Programs() = default;
  virtual bool offers(const std::string& language) const = 0;
  // One run of a Python program as `generator.py CASE`, with `random` seeded by (seed, case).
  virtual Result<ProgramRun> generate(const std::string& code, uint64_t seed, int case_number) = 0;
  virtual Result<ProgramRun> run(const Submission& submission, const std::string& input) = 0;
};

struct ProgramLimits {
  double generator_seconds = 10;  // processor time of a run, as everywhere
  double submission_seconds = 4;  // what the reward `code` gives a program, too
  double memory_mb = 512;
  int max_kb = 1024;  // of an input, and of an output
};

// invalid_argument if the interpreter in the jail cannot import cyaron; errors of Sandbox::create.
Result<std::unique_ptr<Programs>> make_sandbox_programs(const sandbox::PoolOptions& pool,
                                                        const ProgramLimits& limits);

}  // namespace longshot::curate
