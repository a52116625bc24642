#include "reward/code/code.h"

#include <map>
#include <vector>

#include "base/os/stop.h"
#include "base/spelling.h"
#include "base/text/language_names.h"
#include "net/services.h"
#include "reward/code/code_block.h"
#include "reward/code/code_suite.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

constexpr const char* kWho = "reward code";
constexpr double kCompileSeconds = 20;  // processor time, the sandbox's default
constexpr double kPauseSeconds = 0.1;   // before a retry after a sandbox's fault

// Which programs begin with the imports of the original grader.
enum class Preamble {
  all,
  calls,  // those that complete given code
  none,
};

constexpr auto spellings(Preamble) {
  using enum Preamble;
  return std::to_array<Spelling<Preamble>>({{all, "all"}, {calls, "calls"}, {none, "none"}});
}

struct CodeOptions {
  std::string language;
  Preamble preamble = Preamble::calls;
  double run_timeout = 0, memory_limit = 0, tolerance = 0;
  Json limits;
};

// Values given by the row take precedence.
void set_default(Json& object, const char* key, const Json& value) {
  if (!object.contains(key)) object[key] = value;
}

double number_or(const Json& object, const char* key, double fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : fallback;
}

class CodeReward : public Reward {
 public:
  CodeReward(CodeOptions options, TestRunner run, Patience patience)
      : options_(std::move(options)), run_(std::move(run)), patience_(patience) {}
  std::string name() const override { return "code"; }

  // Includes the time for every test to reach its limit: a program that never ends must be a wrong
  // answer, not a judgement that times out.
  double max_seconds(const Question& question, double timeout) const override {
    const auto request = request_of(question);
    if (!request.ok()) return timeout;
    const auto tests = request->find("tests");
    const size_t count = tests != request->end() && tests->is_array() ? tests->size() : 1;
    const Json limits = request->value("limits", Json::object());
    const double cpu = number_or(limits, "cpu_seconds", options_.run_timeout);
    const auto patient = [&](double seconds) { return patience_.share * seconds + patience_.more; };
    return timeout + patient(kCompileSeconds) +
           static_cast<double>(count) * number_or(limits, "wall_seconds", patient(cpu));
  }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    LS_ASSIGN_OR_RETURN(Json request, request_of(question));
    const bool streams = !request.contains("test") && !request.contains("entry_point");
    const auto block = program_of(question.completion, streams ? "" : options_.language);
    if (!block) return Score{0, false, ""};
    const std::string named = streams ? language_of_name(block->language) : "";
    request["language"] = named.empty() ? options_.language : named;
    request["code"] = block->code;
    LS_ASSIGN_OR_RETURN(const bool passed, run_(request, deadline));
    return Score{passed ? 1.0 : 0.0, passed, block->code};
  }

 private:
  // The request without language and code.
  Result<Json> request_of(const Question& question) const {
    LS_ASSIGN_OR_RETURN(Json request, suite_of(question.ground_truth));
    set_default(request, "run_timeout", options_.run_timeout);
    set_default(request, "memory_limit_MB", options_.memory_limit);
    const bool checks = request.contains("test");
    const bool exact = request.value("compare", Json("lines")) == "exact";
    if (!checks && !exact && !request.contains("tolerance"))
      set_default(request, "float_tolerance", options_.tolerance);
    set_default(request, "preamble", wants_preamble(request));
    if (!options_.limits.empty()) {
      set_default(request, "limits", Json::object());
      for (const auto& [key, value] : options_.limits.items())
        if (request["limits"].is_object()) set_default(request["limits"], key.c_str(), value);
    }
    return request;
  }

  // Programs that complete given code use names that the original grader imports.
  bool wants_preamble(const Json& request) const {
    if (options_.preamble != Preamble::calls) return options_.preamble == Preamble::all;
    return request.contains("entry_point") || request.contains("test");
  }

  const CodeOptions options_;
  const TestRunner run_;
  const Patience patience_;
};

// Posts the request to the services until one says whether the program passed.
Result<bool> ask(net::Services& services, const Json& request, Deadline deadline) {
  Status last = unavailable(std::string(kWho) + ": no time left");
  while (!deadline.expired() && !stop_requested()) {
    LS_ASSIGN_OR_RETURN(const Json reply, services.post(request, deadline));
    const auto passed = reply.find("passed");
    if (passed == reply.end())
      return corrupt(std::string(kWho) +
                     ": no /run_tests answer: " + dump_json(reply).substr(0, 200));
    if (passed->is_boolean()) return passed->get<bool>();
    last = unavailable(std::string(kWho) + ": fault: " + dump_json(reply).substr(0, 300));
    sleep_unless_stopped(Deadline::after_seconds(kPauseSeconds));
  }
  return last;
}

Status refused(const std::string& what) {
  return invalid_argument(std::string(kWho) + ": " + what);
}

Result<CodeOptions> read_options(const Json& options) {
  CodeOptions code;
  std::string language, preamble;
  LS_ASSIGN_OR_RETURN(language, json_get_or<std::string>(options, "language", "python", kWho));
  LS_ASSIGN_OR_RETURN(code.run_timeout, json_get_or<double>(options, "run_timeout", 4, kWho));
  LS_ASSIGN_OR_RETURN(code.memory_limit, json_get_or<double>(options, "memory_limit_MB", -1, kWho));
  LS_ASSIGN_OR_RETURN(code.tolerance, json_get_or<double>(options, "tolerance", 1e-6, kWho));
  LS_ASSIGN_OR_RETURN(preamble, json_get_or<std::string>(options, "preamble", "calls", kWho));
  LS_ASSIGN_OR_RETURN(code.limits, json_get_or<Json>(options, "limits", Json::object(), kWho));
  code.language = language_of_name(language);
  if (code.language.empty()) return refused("language '" + language + "' is not known");
  if (!(code.run_timeout > 0)) return refused("run_timeout must be > 0");
  if (!(code.tolerance >= 0 && code.tolerance <= 1))
    return refused("tolerance must be from 0 to 1");
  const auto chosen = value_of<Preamble>(preamble);
  if (!chosen) return refused("preamble must be all, calls or none");
  code.preamble = *chosen;
  if (!code.limits.is_object()) return refused("limits must be a table");
  return code;
}

}  // namespace

std::vector<std::string> code_options() {
  return {"language", "run_timeout", "memory_limit_MB", "tolerance", "preamble", "limits"};
}

Result<std::unique_ptr<Reward>> make_code(const Json& options, TestRunner run, Patience patience) {
  LS_RETURN_IF_ERROR(check_options("code", options, code_options()));
  LS_ASSIGN_OR_RETURN(CodeOptions code, read_options(options));
  return std::unique_ptr<Reward>(
      std::make_unique<CodeReward>(std::move(code), std::move(run), patience));
}

Result<std::unique_ptr<Reward>> make_code(const Json& options) {
  std::vector<std::string> known = code_options();
  known.insert(known.end(), {"url", "headers"});
  LS_RETURN_IF_ERROR(check_options("code", options, known));
  LS_ASSIGN_OR_RETURN(
      std::vector<net::Url> urls,
      net::read_urls(options, "/run_tests", kWho, "of a service that `longshot sandbox` starts"));
  LS_ASSIGN_OR_RETURN(auto headers, (json_get_or<std::map<std::string, std::string>>(
                                        options, "headers", {}, kWho)));
  const auto services = std::make_shared<net::Services>(std::move(urls), std::move(headers), kWho);
  Json others = options;
  others.erase("url");
  others.erase("headers");
  return make_code(others, [services](const Json& request, Deadline deadline) {
    return ask(*services, request, deadline);
  });
}

}  // namespace longshot::reward
