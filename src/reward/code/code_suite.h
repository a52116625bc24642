#pragma once
// Test suites as the public data sets of programming problems have them.

#include <string>

#include "base/json.h"
#include "base/status.h"

namespace longshot::reward {

// The body of a /run_tests request (docs/sandbox.md) without language and code, from a ground truth in one of these
// forms, JSON or JSON within a JSON text. docs/rewards.md lists the data sets and the graders they come from.
//   {"inputs": [...], "outputs": [...]} and optionally "fn_name": APPS, TACO, PRIME, verl; with fn_name an input is a
//     list of arguments, or a text with an argument's JSON on each line; without, a text or a list of lines
//   {"public_test_cases": ..., "private_test_cases": ..., "metadata": ...}: LiveCodeBench
//   {"public_tests": {"input": [...], "output": [...]}, "private_tests", "generated_tests"}: code_contests
//   {"test": code} and optionally "entry_point": HumanEval; check(entry_point) is called after the code
//   {"test_list": [asserts]} and optionally "test_setup_code", "test_imports", "challenge_test_list": MBPP
//   [{"input": ..., "output": ...}, ...], each with "testtype", "type", "fn_name" or "metadata" where it is a call:
//     DeepCoder, rllm
//   the text of a test file in Python: KodCode
//   {"tests": [...]} and whatever else /run_tests takes
//   an object that holds one of these as "input_output", "test_cases", "verification_info" or "ground_truth"
// Beside the tests "compare", "tolerance", "checker", "limits" and "stop_at_first_failure" are kept.
//
// Expected values of calls are given as all their readings ("values"): as they are, without a list of one that wraps
// every one of them, as the JSON that every one of them is the text of, and both. One reading must fit a whole suite.
// invalid_argument: none of these forms.
Result<Json> suite_of(const std::string& ground_truth);

}  // namespace longshot::reward
