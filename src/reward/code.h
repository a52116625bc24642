#pragma once
// Programs in responses, judged by test cases in a sandbox: a service (`longshot sandbox`) or this process's own.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "reward/reward.h"

namespace longshot::reward {

struct CodeBlock {
  std::string language;  // the word after the fence, in lower case; may be empty
  std::string code;
};
// The last complete fenced block of the answer: after the last </think>, if there is one.
std::optional<CodeBlock> last_code_block(std::string_view response);

// The body of a /run_tests request without language and code, from a ground truth in one of these forms (JSON objects):
//   {"inputs": [...], "outputs": [...]} and optionally "fn_name": APPS, TACO, PRIME, verl; with fn_name an input is a
//     list of arguments, or a text with an argument's JSON on each line, and an output a value or its JSON
//   {"test": code} and optionally "entry_point": HumanEval; check(entry_point) is called after the code
//   {"tests": [...]} and whatever else /run_tests takes
Result<Json> suite_of(const std::string& ground_truth);

// Whether the program of a /run_tests request (docs/sandbox.md) passes. Thread-safe. The sandbox's own fault is
// unavailable.
using TestRunner = std::function<Result<bool>(const Json& request, Deadline deadline)>;

// {"language": "python", "run_timeout": 4, "memory_limit_MB": -1}
// 1 if the block passes all cases, else 0; no block is 0. The language that the word after
// the fence names counts, if it is a language. The sandbox's own fault is an error, never a 0. So is a deadline that a program within its
// limits could miss: 2 * run_timeout + 1 seconds.
Result<std::unique_ptr<Reward>> make_code(const Json& options, TestRunner run);

// The same with services: also {"url": "http://host:port" or a list of them, "headers": {}}. Requests go to them in
// turn; one that is full, gone or at fault is tried again, and the others, until the deadline.
Result<std::unique_ptr<Reward>> make_code(const Json& options);

}  // namespace longshot::reward
