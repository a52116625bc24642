#include "reward/code.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <thread>
#include <vector>

#include "base/stop.h"
#include "reward/rules.h"
#include "reward/services.h"
#include "reward/text.h"

namespace longshot::reward {
namespace {

constexpr const char* kWho = "reward code";
constexpr std::string_view kFence = "```";
// Words after a fence that name a language. Any other, such as a misspelled one, says nothing: what a model writes is
// wrong or right, never a reason not to judge it.
constexpr std::string_view kLanguages[] = {
    "python", "python3", "py",   "cpp", "c++",   "cc",         "g++",    "cpp17", "cpp20",
    "c",      "gcc",     "bash", "sh",  "shell", "javascript", "nodejs", "node",  "js"};
constexpr auto kPause = std::chrono::milliseconds(100);  // after a sandbox's fault
constexpr double kSlack = 0.1;  // seconds that a judgement may have taken to begin

// The next fence at the beginning of a line, from `from` on.
size_t find_fence(std::string_view text, size_t from) {
  for (size_t at = text.find(kFence, from); at != text.npos; at = text.find(kFence, at + 1)) {
    const size_t line = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;  // npos + 1 is 0
    if (text.substr(line, at - line).find_first_not_of(" \t") == text.npos) return at;
  }
  return text.npos;
}

// A text with one JSON value on each line, as APPS writes the arguments of a call.
Result<Json> arguments_of(const Json& input) {
  if (input.is_array()) return input;
  if (!input.is_string())
    return invalid_argument(std::string(kWho) + ": an input is no text or list");
  Json list = Json::array();
  const std::string& text = input.get_ref<const std::string&>();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) {
      LS_ASSIGN_OR_RETURN(Json value, parse_json(text.substr(begin, end - begin), kWho));
      list.push_back(std::move(value));
    }
    begin = end + 1;
  }
  return list;
}

Json value_of(const Json& output) {
  if (!output.is_string()) return output;
  const auto parsed = parse_json(output.get<std::string>(), kWho);
  return parsed.ok() ? *parsed : output;
}

Result<Json> paired_suite(const Json& truth) {
  const Json &inputs = truth["inputs"], &outputs = truth["outputs"];
  if (!inputs.is_array() || !outputs.is_array() || inputs.size() != outputs.size() ||
      inputs.empty())
    return invalid_argument(std::string(kWho) +
                            ": 'inputs' and 'outputs' must be lists of one length");
  const auto name = truth.find("fn_name");
  const bool calls = name != truth.end() && name->is_string();
  Json suite = {{"tests", Json::array()}, {"stop_at_first_failure", true}};
  if (calls) suite["entry_point"] = *name;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (calls) {
      LS_ASSIGN_OR_RETURN(Json arguments, arguments_of(inputs[i]));
      suite["tests"].push_back({{"args", std::move(arguments)}, {"value", value_of(outputs[i])}});
    } else {
      suite["tests"].push_back({{"input", inputs[i]}, {"output", outputs[i]}});
    }
  }
  return suite;
}

struct CodeOptions {
  std::string language;
  double run_timeout = 0, memory_limit = 0;
  double longest_run() const { return 2 * run_timeout + 1; }  // the sandbox's wall time
};

class CodeReward : public Reward {
 public:
  CodeReward(CodeOptions options, TestRunner run)
      : options_(std::move(options)), run_(std::move(run)) {}
  std::string name() const override { return "code"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    LS_RETURN_IF_ERROR(check_deadline(deadline));
    LS_ASSIGN_OR_RETURN(Json request, suite_of(question.ground_truth));
    const auto block = last_code_block(question.completion);
    if (!block) return Score{0, false, ""};
    request["language"] = language_of(*block, request);
    request["code"] = block->code;
    request["run_timeout"] = options_.run_timeout;
    request["memory_limit_MB"] = options_.memory_limit;
    LS_ASSIGN_OR_RETURN(const bool passed, run_(request, deadline));
    return Score{passed ? 1.0 : 0.0, passed, block->code};
  }

 private:
  // Checks and calls are of one language; a stream's program may be in any.
  std::string language_of(const CodeBlock& block, const Json& request) const {
    const bool any = !request.contains("test") && !request.contains("entry_point");
    const bool known = std::find(std::begin(kLanguages), std::end(kLanguages), block.language) !=
                       std::end(kLanguages);
    return any && known ? block.language : options_.language;
  }

  // A program that never ends must be a wrong answer, not a judgement out of time.
  Status check_deadline(Deadline deadline) const {
    if (deadline.seconds_left() >= options_.longest_run() - kSlack) return ok_status();
    return invalid_argument(
        fmt::format("{}: {:.1f} s for a judgement, but a program may take {:.1f} s: raise "
                    "reward.timeout (--timeout) or lower run_timeout={}",
                    kWho, deadline.seconds_left(), options_.longest_run(), options_.run_timeout));
  }

  const CodeOptions options_;
  const TestRunner run_;
};

// Asks the services until one has a verdict.
Result<bool> ask(Services& services, const Json& request, Deadline deadline) {
  Status last = unavailable(std::string(kWho) + ": no time left");
  while (!deadline.expired() && !stop_requested()) {
    LS_ASSIGN_OR_RETURN(const Json reply, services.post(request, deadline));
    const auto passed = reply.find("passed");
    if (passed == reply.end())
      return corrupt(std::string(kWho) +
                     ": no /run_tests answer: " + dump_json(reply).substr(0, 200));
    if (passed->is_boolean()) return passed->get<bool>();
    last = unavailable(std::string(kWho) + ": fault: " + dump_json(reply).substr(0, 300));
    std::this_thread::sleep_for(kPause);
  }
  return last;
}

Result<CodeOptions> read_options(const Json& options) {
  CodeOptions code;
  LS_ASSIGN_OR_RETURN(code.language, json_get_or<std::string>(options, "language", "python", kWho));
  LS_ASSIGN_OR_RETURN(code.run_timeout, json_get_or<double>(options, "run_timeout", 4, kWho));
  LS_ASSIGN_OR_RETURN(code.memory_limit, json_get_or<double>(options, "memory_limit_MB", -1, kWho));
  if (!(code.run_timeout > 0))
    return invalid_argument(std::string(kWho) + ": run_timeout must be > 0");
  return code;
}

}  // namespace

std::optional<CodeBlock> last_code_block(std::string_view response) {
  constexpr std::string_view kThought = "</think>";
  if (const size_t end = response.rfind(kThought); end != response.npos)
    response.remove_prefix(end + kThought.size());
  std::optional<CodeBlock> last;
  for (size_t open = find_fence(response, 0); open != response.npos;) {
    const size_t line = response.find('\n', open);
    if (line == response.npos) break;
    const size_t close = find_fence(response, line + 1);
    if (close == response.npos) break;
    std::string_view word = response.substr(open + kFence.size(), line - open - kFence.size());
    word = word.substr(0, word.find_last_not_of(" \t\r") + 1);
    last = CodeBlock{to_lower(word), std::string(response.substr(line + 1, close - line - 1))};
    open = find_fence(response, close + kFence.size());
  }
  return last;
}

Result<Json> suite_of(const std::string& ground_truth) {
  LS_ASSIGN_OR_RETURN(Json truth, parse_json(ground_truth, std::string(kWho) + ": ground truth"));
  if (truth.is_object() && truth.contains("inputs") && truth.contains("outputs"))
    return paired_suite(truth);
  if (truth.is_object() && truth.contains("test") && truth["test"].is_string()) {
    std::string code = truth["test"];
    if (const auto name = truth.find("entry_point"); name != truth.end() && name->is_string())
      code += "\ncheck(" + name->get<std::string>() + ")\n";
    return Json{{"test", std::move(code)}};
  }
  if (truth.is_object() && truth.contains("tests")) return truth;
  return invalid_argument(
      std::string(kWho) +
      ": the ground truth has neither 'inputs' and 'outputs', nor 'test', nor 'tests'");
}

Result<std::unique_ptr<Reward>> make_code(const Json& options, TestRunner run) {
  LS_RETURN_IF_ERROR(
      check_options("code", options, {"language", "run_timeout", "memory_limit_MB"}));
  LS_ASSIGN_OR_RETURN(CodeOptions code, read_options(options));
  return std::unique_ptr<Reward>(std::make_unique<CodeReward>(std::move(code), std::move(run)));
}

Result<std::unique_ptr<Reward>> make_code(const Json& options) {
  LS_RETURN_IF_ERROR(check_options(
      "code", options, {"url", "language", "run_timeout", "memory_limit_MB", "headers"}));
  LS_ASSIGN_OR_RETURN(
      std::vector<Url> urls,
      read_urls(options, "/run_tests", kWho, "of a service that `longshot sandbox` starts"));
  LS_ASSIGN_OR_RETURN(auto headers, (json_get_or<std::map<std::string, std::string>>(
                                        options, "headers", {}, kWho)));
  const auto services = std::make_shared<Services>(std::move(urls), std::move(headers), kWho);
  Json others = options;
  others.erase("url");
  others.erase("headers");
  return make_code(others, [services](const Json& request, Deadline deadline) {
    return ask(*services, request, deadline);
  });
}

}  // namespace longshot::reward
