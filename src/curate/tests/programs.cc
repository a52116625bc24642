#include "curate/tests/programs.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "curate/run_generator_source.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::curate {
namespace {

constexpr double kStartSeconds = 60;  // for the check before the first problem

std::string last_line(const std::string& text) {
  const size_t last = text.find_last_not_of(" \t\r\n");
  if (last == text.npos) return "";
  const size_t begin = text.rfind('\n', last) + 1;  // npos + 1 is 0
  return text.substr(begin, std::min<size_t>(last + 1 - begin, 300));
}

std::string describe(const sandbox::Outcome& outcome) {
  std::string text = fmt::format("{} {}", sandbox::ending_word(outcome.ending), outcome.message);
  const std::string error = last_line(outcome.err);
  return error.empty() ? text : text + ": " + error;
}

ProgramRun run_of(sandbox::Outcome outcome) {
  ProgramRun run;
  if (outcome.ending != sandbox::Ending::ok) {
    run.why = describe(outcome);
  } else if (!tokenizer::is_valid_utf8(outcome.out)) {
    run.why = "OK, but the output is not UTF-8 text";  // a row cannot hold it
  } else {
    run.ok = true;
    run.output = std::move(outcome.out);
  }
  return run;
}

class SandboxPrograms : public Programs {
 public:
  SandboxPrograms(std::unique_ptr<sandbox::Sandbox> sandbox, const ProgramLimits& limits)
      : sandbox_(std::move(sandbox)), limits_(limits) {}

  bool offers(const std::string& language) const override {
    return find_language(sandbox_->languages(), language) != nullptr;
  }

  Result<ProgramRun> generate(const std::string& code, uint64_t seed, int case_number) override {
    sandbox::RunRequest request = python(kRunGeneratorSource, limits_.generator_seconds);
    request.program.files.push_back({"generator.py", code, false});
    request.program.arguments = {
        std::to_string(hash_combine(seed, static_cast<uint64_t>(case_number))),
        std::to_string(case_number)};
    return start(request);
  }

  Result<ProgramRun> run(const Submission& submission, const std::string& input) override {
    sandbox::RunRequest request = python(submission.code, limits_.submission_seconds);
    request.program.language = submission.language;
    request.input = input;
    return start(request);
  }

  Status check_cyaron() {
    LS_ASSIGN_OR_RETURN(const ProgramRun run, start(python("import cyaron", kStartSeconds)));
    if (run.ok) return ok_status();
    const std::string& python = sandbox_->pool().python();
    return invalid_argument(fmt::format(
        "{} cannot import cyaron in the sandbox ({}): run tools/setup, or give --python an "
        "interpreter that has it (`pip install cyaron`)",
        python.empty() ? "python3" : python, run.why));
  }

 private:
  sandbox::RunRequest python(const std::string& code, double seconds) const {
    sandbox::RunRequest request;
    request.program.language = "python";
    request.program.code = code;
    request.limits.set_processor_time(seconds);
    request.limits.memory_bytes = static_cast<uint64_t>(limits_.memory_mb * kMiB);
    request.limits.output_bytes = static_cast<uint64_t>(limits_.max_kb) << 10;
    request.compile_limits = sandbox::default_compile_limits();
    return request;
  }

  Result<ProgramRun> start(const sandbox::RunRequest& request) {
    LS_ASSIGN_OR_RETURN(sandbox::RunReport report,
                        sandbox_->run(request, [] { return stop_requested(); }));
    const sandbox::Outcome& last = report.last();
    if (last.ending == sandbox::Ending::internal)
      return internal_error("sandbox fault: " + last.message);
    return run_of(report.run ? std::move(*report.run) : std::move(*report.compile));
  }

  const std::unique_ptr<sandbox::Sandbox> sandbox_;
  const ProgramLimits limits_;
};

}  // namespace

Result<std::unique_ptr<Programs>> make_sandbox_programs(const sandbox::PoolOptions& pool,
                                                        const ProgramLimits& limits) {
  LS_ASSIGN_OR_RETURN(auto sandbox, sandbox::Sandbox::create(pool));
  auto programs = std::make_unique<SandboxPrograms>(std::move(sandbox), limits);
  if (!programs->offers("python"))
    return invalid_argument("the sandbox has no python: name one with --python");
  LS_RETURN_IF_ERROR(programs->check_cyaron());
  return std::unique_ptr<Programs>(std::move(programs));
}

}  // namespace longshot::curate
