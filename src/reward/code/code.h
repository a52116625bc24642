#pragma once
// Programs in responses, judged by test cases in a sandbox: a service (`longshot sandbox`) or one
// in this process.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reward/reward.h"

namespace longshot::reward {

// Returns whether the program of a /run_tests request (docs/sandbox.md) passes its tests.
// Thread-safe. A fault of the sandbox itself is the error unavailable.
using TestRunner = std::function<Result<bool>(const Json& request, Deadline deadline)>;

// The time that a test may take on a busy machine: `share` times its processor time, plus `more`
// seconds.
struct Patience {
  double share = 6, more = 10;
};

// Options, with their defaults:
//   "language": "python"     of blocks that name none, and of calls and checks
//   "run_timeout": 4         processor seconds of a test
//   "memory_limit_MB": -1    -1: the sandbox's own limit
//   "tolerance": 1e-6        float_tolerance (docs/sandbox.md) of rows that have no "tolerance"
//   "preamble": "calls"      "all", "calls" (and checks) or "none": which Python programs get the
//                            usual imports
//   "limits": {}             as in /run_tests; the row's own "limits" take precedence
// The score is 1 if the program of the response (program_of in reward/code/code_block.h) passes all
// cases of the ground truth (suite_of in reward/code/code_suite.h), else 0. A response without a
// program scores 0. A fault of the sandbox is an error, never a 0. In addition to the configured
// timeout, a judgement may take `patience` for a compiler and for each test.
Result<std::unique_ptr<Reward>> make_code(const Json& options, TestRunner run,
                                          Patience patience = {});
std::vector<std::string> code_options();  // their names

// The same with services. Further options: {"url": "http://host:port" or a list of them, "headers":
// {}}. Requests go to the services in turn. If a service is full, gone or at fault, the request is
// repeated on it and on the others until the deadline.
Result<std::unique_ptr<Reward>> make_code(const Json& options);

}  // namespace longshot::reward
