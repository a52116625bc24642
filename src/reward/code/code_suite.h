#pragma once
// Reads test suites in the formats of the public data sets of programming problems.

#include <string>

#include "base/json.h"
#include "base/status.h"

namespace longshot::reward {

// Returns the body of a /run_tests request (docs/sandbox.md) without language and code. The ground
// truth must have one of these forms, as JSON or as JSON within a JSON text. docs/rewards.md lists
// the data sets and the graders they come from.
//   {"inputs": [...], "outputs": [...]} and optionally "fn_name": APPS, TACO, PRIME, verl. With
//     fn_name an input is a list of arguments, or a text with the JSON of one argument per line;
//     without it, a text or a list of lines.
//   {"public_test_cases": ..., "private_test_cases": ..., "metadata": ...}: LiveCodeBench
//   {"public_tests": {"input": [...], "output": [...]}, "private_tests", "generated_tests"}:
//     code_contests
//   {"test": code} and optionally "entry_point": HumanEval. If the code defines check() and does
//     not call it, check(entry_point) is called after it.
//   {"test_list": [asserts]} and optionally "test_setup_code", "test_imports",
//     "challenge_test_list": MBPP
//   [{"input": ..., "output": ...}, ...], each with "testtype", "type", "fn_name" or "metadata" if
//     it is a call: DeepCoder, rllm
//   the text of a test file in Python: KodCode
//   {"tests": [...]} with any other members of a /run_tests request
//   an object that holds one of these as "input_output", "test_cases", "testcases",
//     "official_tests", "verification_info" or "ground_truth"
// "compare", "tolerance", "float_tolerance", "checker", "limits" and "stop_at_first_failure" are
// kept in addition to the tests.
//
// If the expected values of calls have several readings, all are returned ("values"): the values as
// written; without a one-element list around each of them; with every text replaced by the value of
// its JSON; and both. The same reading must fit all tests of a suite.
// Returns invalid_argument if the ground truth has none of these forms.
Result<Json> suite_of(const std::string& ground_truth);

}  // namespace longshot::reward
