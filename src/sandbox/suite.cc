#include "sandbox/suite.h"

#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "sandbox/harness_source.h"

namespace longshot::sandbox {
namespace {

constexpr const char* kAnswer = "answer.json";
constexpr size_t kMaxMessage = 2000;
constexpr uint64_t kSlack = 64;         // extra bytes for an answer
constexpr uint64_t kMinOutput = 65536;  // a program may always write this much
// Factor for an expected output: white space and digits may lengthen it.
constexpr uint64_t kMaxSpread = 32;

// The error for a case that no program could pass.
Status too_large(size_t index, const char* what, size_t bytes, uint64_t limit) {
  return invalid_argument(
      fmt::format("tests[{}] expects {} of {} bytes, but limits.output_bytes is {}: raise it",
                  index, what, bytes, limit));
}

Status check_case(const TestCase& test, size_t index, const RunRequest& request,
                  const Suite& suite) {
  const uint64_t limit = request.limits.output_bytes;
  if (suite.function.empty()) {
    if (suite.checker || test.output.size() <= limit) return ok_status();
    return too_large(index, "an output", test.output.size(), limit);
  }
  if (!test.arguments.is_array()) return invalid_argument("a call's arguments must be a list");
  if (test.values.empty() || test.values.size() != suite.cases[0].values.size())
    return invalid_argument(fmt::format("tests[{}] has another number of readings", index));
  for (const Json& value : test.values) {
    if (const size_t bytes = dump_json(value).size(); bytes > limit)
      return too_large(index, "a value", bytes, limit);
  }
  return ok_status();
}

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
  for (size_t i = 0; i < suite.cases.size(); ++i)
    LS_RETURN_IF_ERROR(check_case(suite.cases[i], i, request, suite));
  return ok_status();
}

// The program under test cannot guess it.
std::string make_token() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

// Wraps the program in a harness that gets the question on its stdin.
RunRequest harnessed(const RunRequest& request, const char* harness, const Json& question,
                     uint64_t answer_bytes) {
  RunRequest wrapped = request;
  wrapped.program.code = harness;
  wrapped.program.files.push_back({"solution.py", request.program.code, false});
  wrapped.input = dump_json(question);
  wrapped.fetch = {kAnswer};
  wrapped.fetch_bytes = answer_bytes;
  return wrapped;
}

// Puts the usual imports before a program that reads its own stdin.
RunRequest with_preamble(const RunRequest& request) {
  RunRequest wrapped = request;
  wrapped.program.code = std::string(kPreambleSource) +
                         "exec(compile(open('solution.py', 'rb').read(), 'solution.py', 'exec'))\n";
  wrapped.program.files.push_back({"solution.py", request.program.code, false});
  return wrapped;
}

// The most bytes of an answer that matches one of the values.
uint64_t room_for(const std::vector<Json>& values) {
  uint64_t max = 0;
  for (const Json& value : values) max = std::max(max, max_answer_bytes(value));
  return max + kSlack;
}

// The last lines of stderr are the most informative ones.
std::string tail(const std::string& text) {
  return text.size() <= kMaxMessage ? text : text.substr(text.size() - kMaxMessage);
}

CaseResult result_of(Outcome outcome) {
  CaseResult result;
  result.word = ending_word(outcome.ending);
  result.message = outcome.message;
  if (outcome.ending == Ending::runtime && !outcome.err.empty())
    result.message += "\n" + tail(outcome.err);
  result.outcome = std::move(outcome);
  return result;
}

void accept(CaseResult& result, bool right, const std::string& why_not) {
  result.passed = right;
  if (right) return;
  result.word = "WA";
  result.message = why_not;
}

class SuiteRun {
 public:
  SuiteRun(Sandbox& sandbox, const RunRequest& request, const Suite& suite,
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
        report.fault = report.compile->ending == Ending::internal;
        return report;
      }
      report.fault |= result.word == "XX";
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
  RunRequest request_for(const TestCase& test, const std::string& token) const {
    const Json preamble = suite_.preamble ? kPreambleSource : "";
    if (!suite_.checks.empty())
      return harnessed(request_, kChecksHarnessSource,
                       {{"checks", suite_.checks}, {"token", token}, {"preamble", preamble}},
                       kMaxMessage + kSlack);
    if (!suite_.function.empty())
      return harnessed(request_, kHarnessSource,
                       {{"function", suite_.function},
                        {"arguments", test.arguments},
                        {"number_keys", suite_.number_keys},
                        {"preamble", preamble}},
                       room_for(test.values));
    return stream_request(test);
  }

  // Limits the output: a program that writes far more than expected is ended.
  RunRequest stream_request(const TestCase& test) const {
    const Language* language = find_language(sandbox_.languages(), request_.program.language);
    const bool python = language != nullptr && language->name == "python";
    RunRequest request = suite_.preamble && python ? with_preamble(request_) : request_;
    request.input = test.input;
    request.fetch.clear();
    uint64_t& limit = request.limits.output_bytes;
    if (!suite_.checker) limit = std::min(limit, kMinOutput + kMaxSpread * test.output.size());
    return request;
  }

  Result<CaseResult> run_case(const TestCase& test, SuiteReport& report) {
    const std::string token = suite_.checks.empty() ? "" : make_token();
    LS_ASSIGN_OR_RETURN(RunReport ran, sandbox_.run(request_for(test, token), cancelled_));
    if (!ran.run) {
      report.compile = std::move(ran.compile);
      return CaseResult();
    }
    CaseResult result = result_of(std::move(*ran.run));
    const std::vector<File> files = std::move(result.outcome.files);
    const std::string answer = files.empty() ? "" : files[0].content;
    if (result.outcome.ending != Ending::ok) return result;
    if (!suite_.checks.empty()) return finish_checks(token, answer, std::move(result));
    if (suite_.function.empty()) return finish_output(test, std::move(result));
    accept(result, answered(answer, test.values), "another value was returned");
    return result;
  }

  // At their end the checks write the token, or the token and the reason why they cannot be run.
  static Result<CaseResult> finish_checks(const std::string& token, const std::string& answer,
                                          CaseResult result) {
    if (answer.starts_with(token + " "))
      return invalid_argument("the checks " + answer.substr(token.size() + 1));
    accept(result, answer == token, "the program ended before its checks did");
    return result;
  }

  // True if a reading that matched all earlier passed cases also matches this one. Readings that do
  // not match are then ruled out.
  bool answered(const std::string& answer, const std::vector<Json>& values) {
    std::vector<bool> fits(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const bool so_far = readings_.empty() || readings_[i];
      fits[i] = so_far && same_answer(answer, values[i], suite_.tolerance);
    }
    const bool any = std::find(fits.begin(), fits.end(), true) != fits.end();
    if (any) readings_ = std::move(fits);
    return any;
  }

  Result<CaseResult> finish_output(const TestCase& test, CaseResult result) {
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
    const bool decided = checked.run && (last.ending == Ending::ok ||
                                         (last.ending == Ending::runtime && last.exit_code <= 2));
    if (!decided) {
      result.word = ending_word(Ending::internal);
      result.message = fmt::format("the checker failed ({}): {} {}", ending_word(last.ending),
                                   last.message, tail(last.err));
      return result;
    }
    accept(result, last.ending == Ending::ok, "the checker: " + tail(last.out + last.err));
    return result;
  }

  Sandbox& sandbox_;
  const RunRequest& request_;
  const Suite& suite_;
  const Sandbox::Cancelled& cancelled_;
  std::vector<bool> readings_;  // readings that match all passed cases; empty: no case has passed
};

}  // namespace

Result<SuiteReport> run_suite(Sandbox& sandbox, const RunRequest& request, const Suite& suite,
                              const Sandbox::Cancelled& cancelled) {
  LS_RETURN_IF_ERROR(check(sandbox, request, suite));
  return SuiteRun(sandbox, request, suite, cancelled).run();
}

}  // namespace longshot::sandbox
