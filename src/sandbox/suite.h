#pragma once
// Runs a program on test cases. Expected answers never enter the jail of the tested program.

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "sandbox/compare.h"
#include "sandbox/sandbox.h"

namespace longshot::sandbox {

// A case of one of three kinds; the suite determines the kind:
//   checks   Suite::checks is Python code that uses the names of the program, as if it ran after
//            the program, and raises an exception if a check fails (HumanEval's style). The suite
//            has one case, without input and answer. The checks run in a process that the program
//            cannot reach (checks_codec.py).
//   calls    Suite::function is called with `arguments`; the returned value is compared with
//            `values`.
//   streams  The program reads `input`; a checker decides about its output, or it is compared
//            with `output`.
struct TestCase {
  std::string input, output;
  Json arguments = Json::array();
  // The expected value in each of its possible readings. All cases of a suite have the same number
  // of readings, and one reading must match all cases.
  std::vector<Json> values;
};

struct Suite {
  std::string checks;
  std::string function;  // may also be a method of a class Solution
  std::vector<TestCase> cases;
  Comparison comparison = Comparison::lines;
  Tolerance tolerance;
  // A special judge, run as `CHECKER input.txt output.txt answer.txt`. As in testlib, exit code 0
  // accepts and 1 and 2 reject. Any other outcome is a fault of the checker and decides nothing.
  std::optional<Program> checker;
  Limits checker_limits;
  bool stop_at_first_failure = false;
  // Dicts among the arguments whose keys are all integers get integer keys.
  bool number_keys = false;
  bool preamble = false;  // puts the usual imports before a Python program (preamble.py)
};

struct CaseResult {
  bool passed = false;
  std::string word;  // ending_word(), or "WA": the program ran to its end with a wrong answer
  std::string message;
  Outcome outcome;
};

struct SuiteReport {
  std::optional<Outcome> compile;   // if compiling failed; then there are no results
  std::vector<CaseResult> results;  // of the cases that were run
  size_t cases = 0;
  bool fault = false;   // a result is XX, so `passed` means nothing
  bool passed = false;  // all cases passed
};

// Runs `request.program` on each case; ignores `request.input` and `request.fetch`. Errors: those
// of Sandbox::run, and invalid_argument for a suite that no program could pass or whose checks
// cannot be run.
Result<SuiteReport> run_suite(Sandbox& sandbox, const RunRequest& request, const Suite& suite,
                              const Sandbox::Cancelled& cancelled);

}  // namespace longshot::sandbox
