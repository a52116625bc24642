#pragma once
// Programs in responses, judged by test cases in a sandbox: a service (`longshot sandbox`) or this process's own.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reward/reward.h"

namespace longshot::reward {

// Whether the program of a /run_tests request (docs/sandbox.md) passes. Thread-safe. The sandbox's own fault is
// unavailable.
using TestRunner = std::function<Result<bool>(const Json& request, Deadline deadline)>;

// How long a test may take on a busy machine: `share` times its processor time, and `more` seconds.
struct Patience {
  double share = 6, more = 10;
};

// Options, with their defaults:
//   "language": "python"     of blocks that name none, and of calls and checks
//   "run_timeout": 4         processor seconds of a test; "memory_limit_MB": -1, the sandbox's own limit
//   "tolerance": 1e-6        float_tolerance (docs/sandbox.md) of rows that have no "tolerance"
//   "preamble": "calls"      "all", "calls" (and checks) or "none": which Python programs get the usual imports
//   "limits": {}             as of /run_tests; the row's own "limits" apply before these
// 1 if the program of the response (program_of in reward/code/code_block.h) passes all cases of the ground truth (suite_of in
// reward/code/code_suite.h), else 0; no program is 0. The sandbox's own fault is an error, never a 0. A judgement may take
// `patience` for a compiler and for each test more than the given time.
Result<std::unique_ptr<Reward>> make_code(const Json& options, TestRunner run,
                                          Patience patience = {});
std::vector<std::string> code_options();  // their names

// The same with services: also {"url": "http://host:port" or a list of them, "headers": {}}. Requests go to them in
// turn; one that is full, gone or at fault is tried again, and the others, until the deadline.
Result<std::unique_ptr<Reward>> make_code(const Json& options);

}  // namespace longshot::reward
