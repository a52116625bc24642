#pragma once
// Programs in responses, judged by test cases in a sandbox service (`longshot sandbox`).

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

// {"url": "http://host:port" or a list of them, "language": "python", "run_timeout": 10, "memory_limit_MB": -1,
//  "headers": {}}
// 1 if the block passes all cases, else 0; no block is 0. A block's own language counts if the service's name for it is
// given after the fence. Requests go to the services in turn; one that is full or gone is tried again, and the others,
// until the deadline. The sandbox's own fault (XX) is unavailable, never a 0.
Result<std::unique_ptr<Reward>> make_code(const Json& options);

}  // namespace longshot::reward
