#pragma once
// A program against test cases. Expected answers never enter the jail of the program that is tested.

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "sandbox/compare.h"
#include "sandbox/sandbox.h"

namespace longshot::sandbox {

// One of three kinds, told apart by what the suite says:
//   checks   Suite::checks is Python code that uses the names of the program, as if it were run after it, and raises if a
//            check fails (HumanEval's style). One case, which has neither input nor answer. It runs in a process that
//            the program cannot reach (checks_codec.py).
//   calls    Suite::function is called with `arguments`; what it returns is compared with `values`.
//   streams  the program reads `input` and writes what is compared with `output`, or looked at by a checker.
struct TestCase {
  std::string input, output;
  Json arguments = Json::array();
  // The expected value in each way that it can be read, as many for each case of a suite; one way must fit all cases.
  std::vector<Json> values;
};

struct Suite {
  std::string checks;
  std::string function;  // also of a class Solution
  std::vector<TestCase> cases;
  Comparison comparison = Comparison::lines;
  Tolerance tolerance;
  // A special judge: run as `CHECKER input.txt output.txt answer.txt`; exit code 0 accepts, 1 and 2 do not (testlib's
  // codes), everything else is its own fault and judges nothing.
  std::optional<Program> checker;
  Limits checker_limits;
  bool stop_at_first_failure = false;
  bool number_keys =
      false;              // dicts among the arguments whose keys are all integers get them as such
  bool preamble = false;  // the usual imports before a program in Python (preamble.py)
};

struct CaseResult {
  bool passed = false;
  std::string verdict;  // Verdict's words, and "WA": ran to its end with another answer
  std::string message;
  Outcome outcome;
};

struct SuiteReport {
  std::optional<Outcome> compile;   // if it failed; then there are no results
  std::vector<CaseResult> results;  // as many as were run
  size_t cases = 0;
  bool fault = false;   // one of them is XX, so that `passed` means nothing
  bool passed = false;  // all of them
};

// Runs `request.program` on each case; `request.input` and `request.fetch` are not used. Errors: as Sandbox::run, and
// invalid_argument for a suite that makes no sense: no program could pass it, or its checks cannot be run.
Result<SuiteReport> run_suite(Sandbox& sandbox, const RunRequest& request, const Suite& suite,
                              const Sandbox::Cancelled& cancelled);

}  // namespace longshot::sandbox
