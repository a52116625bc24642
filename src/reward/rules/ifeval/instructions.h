#pragma once
// The 25 instructions of IF-Eval (Zhou et al. 2023, arXiv 2311.07911) and whether a response
// follows one. The verdicts are those of lm-evaluation-harness 0.4.13, except where it draws a
// random number: an argument that is missing or out of its range is an error here, and the language
// of a text is always the same.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::reward {

// Whether a response follows the instruction. Error: the response is too hard for an expression
// (rules/regex.h). Thread-safe.
using FollowsInstruction = std::function<Result<bool>(const std::string& response)>;

// `id` is for example "length_constraints:number_words", and `arguments` the object of `kwargs`
// that belongs to it; null members count as missing. Error: the id is unknown, or an argument is
// missing or out of its range; the message begins with `where`.
Result<FollowsInstruction> make_instruction(const std::string& id, const Json& arguments,
                                            const std::string& where);

std::vector<std::string> instruction_ids();

}  // namespace longshot::reward
