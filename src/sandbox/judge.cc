#include "sandbox/judge.h"

#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "sandbox/harness_source.h"

namespace longshot::sandbox {
namespace {

constexpr const char* kAnswer = "answer.json";
constexpr size_t kMostMessage = 2000;

Status check(const Sandbox& sandbox, const RunRequest& request, const Suite& suite) {
  const Language* language = find_language(sandbox.languages(), request.program.language);
  if (!suite.checks.empty() && !suite.function.empty())
    return invalid_argument("a suite has either checks or a function, not both");
  if (suite.checks.empty() && suite.cases.empty())
    return invalid_argument("there are no test cases");
  if (!suite.checks.empty() && !suite.cases.empty())
    return invalid_argument("checks are one case by themselves; give no others");
  const bool needs_python = !suite.checks.empty() || !suite.function.empty();
  if (needs_python && language != nullptr && language->name != "python")
    return invalid_argument("checks and function calls are for python only");
  if (needs_python && suite.checker)
    return invalid_argument("a checker looks at output; here none is compared");
  for (const TestCase& test : suite.cases) {
    if (!suite.function.empty() && !test.arguments.is_array())
      return invalid_argument("a call's arguments must be a list");
  }
  return ok_status();
}

// Not to be guessed by the program under test.
std::string make_token() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

// The program wrapped into the harness, with the question on its stdin.
RunRequest harnessed(const RunRequest& request, const Json& question) {
  RunRequest wrapped = request;
  wrapped.program.code = kHarnessSource;
  wrapped.program.files.push_back({"solution.py", request.program.code, false});
  wrapped.input = dump_json(question);
  wrapped.fetch = {kAnswer};
  return wrapped;
}

// The last lines of stderr say most.
std::string tail(const std::string& text) {
  return text.size() <= kMostMessage ? text : text.substr(text.size() - kMostMessage);
}

CaseResult judged(Outcome outcome) {
  CaseResult result;
  result.verdict = verdict_word(outcome.verdict);
  result.message = outcome.message;
  if (outcome.verdict == Verdict::runtime && !outcome.err.empty())
    result.message += "\n" + tail(outcome.err);
  result.outcome = std::move(outcome);
  return result;
}

void accept(CaseResult& result, bool right, const std::string& why_not) {
  result.passed = right;
  if (right) return;
  result.verdict = "WA";
  result.message = why_not;
}

class Judge {
 public:
  Judge(Sandbox& sandbox, const RunRequest& request, const Suite& suite,
        const Sandbox::Cancelled& cancelled)
      : sandbox_(sandbox), request_(request), suite_(suite), cancelled_(cancelled) {}

  Result<SuiteReport> run() {
    static const std::vector<TestCase> kOne(1);
    const auto& cases = suite_.checks.empty() ? suite_.cases : kOne;
    SuiteReport report;
    report.cases = cases.size();
    for (const TestCase& test : cases) {
      LS_ASSIGN_OR_RETURN(CaseResult result, run_case(test, report));
      if (report.compile) {
        report.fault = report.compile->verdict == Verdict::internal;
        return report;
      }
      report.fault |= result.verdict == "XX";
      const bool stop = report.fault || (suite_.stop_at_first_failure && !result.passed);
      report.results.push_back(std::move(result));
      if (stop) break;
    }
    report.passed = report.results.size() == report.cases &&
                    std::all_of(report.results.begin(), report.results.end(),
                                [](const CaseResult& result) { return result.passed; });
    return report;
  }

 private:
  Result<CaseResult> run_case(const TestCase& test, SuiteReport& report) {
    const std::string token = suite_.checks.empty() ? "" : make_token();
    RunRequest request = request_;
    request.input = test.input;
    request.fetch.clear();
    if (!suite_.checks.empty()) {
      request = harnessed(request_, {{"checks", suite_.checks}, {"token", token}});
    } else if (!suite_.function.empty()) {
      request = harnessed(request_, {{"function", suite_.function}, {"arguments", test.arguments}});
    }
    LS_ASSIGN_OR_RETURN(RunReport ran, sandbox_.run(request, cancelled_));
    if (!ran.run) {
      report.compile = std::move(ran.compile);
      return CaseResult();
    }
    CaseResult result = judged(std::move(*ran.run));
    if (result.outcome.verdict != Verdict::ok) return result;
    if (suite_.checks.empty() && suite_.function.empty())
      return judge_output(test, std::move(result));
    const Json expected = suite_.checks.empty() ? test.value : Json(token);
    accept(result, answered(result.outcome, expected),
           suite_.checks.empty() ? "another value was returned"
                                 : "the program ended before its checks did");
    result.outcome.files.clear();
    return result;
  }

  bool answered(const Outcome& outcome, const Json& expected) const {
    if (outcome.files.empty()) return false;
    const auto answer = parse_json(outcome.files[0].content, kAnswer);
    return answer.ok() && same_value(*answer, expected, suite_.tolerance);
  }

  Result<CaseResult> judge_output(const TestCase& test, CaseResult result) {
    if (!suite_.checker) {
      accept(result,
             same_output(result.outcome.out, test.output, suite_.comparison, suite_.tolerance),
             "another output than expected");
      return result;
    }
    RunRequest check;
    check.program = *suite_.checker;
    check.program.files.insert(check.program.files.end(),
                               {{"input.txt", test.input, false},
                                {"output.txt", result.outcome.out, false},
                                {"answer.txt", test.output, false}});
    check.program.arguments = {"input.txt", "output.txt", "answer.txt"};
    check.limits = suite_.checker_limits;
    check.compile_limits = request_.compile_limits;
    LS_ASSIGN_OR_RETURN(const RunReport checked, sandbox_.run(check, cancelled_));
    const Outcome& last = checked.last();
    const bool decided = checked.run && (last.verdict == Verdict::ok ||
                                         (last.verdict == Verdict::runtime && last.exit_code <= 2));
    if (!decided) {
      result.verdict = verdict_word(Verdict::internal);
      result.message = fmt::format("the checker failed ({}): {} {}", verdict_word(last.verdict),
                                   last.message, tail(last.err));
      return result;
    }
    accept(result, last.verdict == Verdict::ok, "the checker: " + tail(last.out + last.err));
    return result;
  }

  Sandbox& sandbox_;
  const RunRequest& request_;
  const Suite& suite_;
  const Sandbox::Cancelled& cancelled_;
};

}  // namespace

Result<SuiteReport> run_suite(Sandbox& sandbox, const RunRequest& request, const Suite& suite,
                              const Sandbox::Cancelled& cancelled) {
  LS_RETURN_IF_ERROR(check(sandbox, request, suite));
  return Judge(sandbox, request, suite, cancelled).run();
}

}  // namespace longshot::sandbox
