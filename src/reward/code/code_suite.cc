#include "reward/code/code_suite.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text/text.h"
#include "reward/code/compressed_tests.h"

namespace longshot::reward {
namespace {

constexpr const char* kWho = "reward code";
// Members of a ground truth that are passed on to /run_tests.
constexpr const char* kKept[] = {"compare", "tolerance", "float_tolerance",
                                 "checker", "limits",    "stop_at_first_failure"};
constexpr const char* kHolders[] = {"input_output",   "test_cases",        "testcases",
                                    "official_tests", "verification_info", "ground_truth"};
constexpr int kMaxLayers = 4;  // of objects around the tests

Status bad(const std::string& what) {
  return invalid_argument(std::string(kWho) + ": " + what);
}

const Json* member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_member(const Json& object, const char* key) {
  const Json* found = object.is_object() ? member(object, key) : nullptr;
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

// Parses a text as JSON; returns any other value unchanged.
Result<Json> unfolded(const Json& value, const std::string& where) {
  if (!value.is_string()) return value;
  return parse_json(value.get_ref<const std::string&>(), where);
}

// The text of stdin or stdout, which is given as a text or as a list of lines.
std::string stream_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (!value.is_array()) return dump_json(value);
  std::string lines;
  for (const Json& line : value) lines += (lines.empty() ? "" : "\n") + stream_text(line);
  return lines;
}

// Reads a text with one JSON value per line, as APPS writes the arguments of a call.
Result<Json> arguments_of(const Json& input) {
  if (input.is_array()) return input;
  if (!input.is_string()) return Json::array({input});
  Json list = Json::array();
  const std::string& text = input.get_ref<const std::string&>();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trim(std::string_view(text).substr(begin, end - begin));
    if (!line.empty()) {
      LS_ASSIGN_OR_RETURN(Json value, parse_json(line, std::string(kWho) + ": an argument"));
      list.push_back(std::move(value));
    }
    begin = end + 1;
  }
  return list;
}

using Values = std::vector<Json>;

// The elements of the values if each is a list of one element, else nullopt.
std::optional<Values> unwrapped(const Values& values) {
  Values inner;
  for (const Json& value : values) {
    if (!value.is_array() || value.size() != 1) return std::nullopt;
    inner.push_back(value[0]);
  }
  return inner;
}

// The value of a text that is JSON, or True, False or None of Python; nullopt for any other text.
std::optional<Json> value_of_text(const std::string& text) {
  const std::string_view bare = trim(text);
  if (bare == "True") return Json(true);
  if (bare == "False") return Json(false);
  if (bare == "None") return Json();
  auto parsed = parse_json(bare, kWho);
  return parsed.ok() ? std::optional(std::move(*parsed)) : std::nullopt;
}

// Replaces every text by its value. nullopt if a text has no value or there is no text.
std::optional<Values> as_json(const Values& values) {
  Values parsed;
  bool any = false;
  for (const Json& value : values) {
    if (!value.is_string()) {
      parsed.push_back(value);
      continue;
    }
    auto said = value_of_text(value.get_ref<const std::string&>());
    if (!said) return std::nullopt;
    any = true;
    parsed.push_back(std::move(*said));
  }
  return any ? std::optional(std::move(parsed)) : std::nullopt;
}

// All readings of the expected values: as written, without one-element lists, with texts replaced
// by their values, and both.
std::vector<Values> readings_of(const Values& values) {
  std::vector<Values> readings = {values};
  const auto add = [&](std::optional<Values> reading) {
    if (reading && std::find(readings.begin(), readings.end(), *reading) == readings.end())
      readings.push_back(std::move(*reading));
  };
  add(unwrapped(values));
  for (size_t i = 0, plain = readings.size(); i < plain; ++i) add(as_json(readings[i]));
  if (auto parsed = as_json(values)) add(unwrapped(*parsed));
  return readings;
}

struct Pairs {
  Values inputs, outputs;
  std::string function;  // empty: the tests use stdin and stdout
  // JSON has made texts of the integer keys of dicts, which APPS, TACO and verl turn back.
  bool number_keys = false;
};

bool has_object_argument(const Json& tests) {
  return std::any_of(tests.begin(), tests.end(), [](const Json& test) {
    return std::any_of(test["args"].begin(), test["args"].end(),
                       [](const Json& argument) { return argument.is_object(); });
  });
}

Result<Json> call_tests(const Pairs& pairs) {
  const std::vector<Values> readings = readings_of(pairs.outputs);
  Json tests = Json::array();
  for (size_t i = 0; i < pairs.inputs.size(); ++i) {
    LS_ASSIGN_OR_RETURN(Json arguments, arguments_of(pairs.inputs[i]));
    Json test = {{"args", std::move(arguments)}};
    if (readings.size() == 1) {
      test["value"] = readings[0][i];
    } else {
      test["values"] = Json::array();
      for (const Values& reading : readings) test["values"].push_back(reading[i]);
    }
    tests.push_back(std::move(test));
  }
  return tests;
}

Result<Json> suite_of_pairs(const Pairs& pairs) {
  if (pairs.inputs.size() != pairs.outputs.size() || pairs.inputs.empty())
    return bad("'inputs' and 'outputs' must be lists of one length, and not empty");
  Json suite = {{"stop_at_first_failure", true}};
  if (!pairs.function.empty()) {
    suite["entry_point"] = pairs.function;
    LS_ASSIGN_OR_RETURN(suite["tests"], call_tests(pairs));
    if (pairs.number_keys && has_object_argument(suite["tests"])) suite["number_keys"] = true;
    return suite;
  }
  suite["tests"] = Json::array();
  for (size_t i = 0; i < pairs.inputs.size(); ++i) {
    suite["tests"].push_back(
        {{"input", stream_text(pairs.inputs[i])}, {"output", stream_text(pairs.outputs[i])}});
  }
  return suite;
}

Status take_lists(const Json& inputs, const Json& outputs, Pairs& pairs) {
  if (!inputs.is_array() || !outputs.is_array() || inputs.size() != outputs.size())
    return bad("'inputs' and 'outputs' must be lists of one length");
  pairs.inputs.insert(pairs.inputs.end(), inputs.begin(), inputs.end());
  pairs.outputs.insert(pairs.outputs.end(), outputs.begin(), outputs.end());
  return ok_status();
}

std::string function_of(const Json& truth) {
  for (const char* key : {"fn_name", "func_name", "entry_point"}) {
    if (std::string name = text_member(truth, key); !name.empty()) return name;
  }
  if (const Json* metadata = member(truth, "metadata")) {
    const auto object = unfolded(*metadata, kWho);
    if (object.ok() && object->is_object()) return function_of(*object);
  }
  return "";
}

// True if the case says so ("functional" or "function_call"). If it says nothing, true if there is
// a function to call.
bool is_call(const Json& test, const std::string& function) {
  for (const char* key : {"testtype", "type"}) {
    if (const std::string kind = text_member(test, key); !kind.empty())
      return kind.starts_with("func");
  }
  return !function.empty();
}

// Collects test cases of the form {"input": ..., "output": ..., "testtype": ...}.
class CaseList {
 public:
  // `function`: named by the object around the cases; may be empty.
  explicit CaseList(std::string function) : function_(std::move(function)) {}

  Status take(const Json& cases) {
    if (!cases.is_array()) return bad("test cases must be a list");
    for (const Json& test : cases) LS_RETURN_IF_ERROR(take_one(test));
    return ok_status();
  }

  Result<Json> suite() {
    if (calls_ == 0) {
      pairs_.function.clear();
    } else if (calls_ != pairs_.inputs.size()) {
      return bad("some tests are calls of a function and others are not");
    } else if (pairs_.function.empty()) {
      if (function_.empty())
        return bad(
            "the tests are calls, but neither 'fn_name' nor metadata's 'func_name' is there");
      pairs_.function = function_;
    }
    return suite_of_pairs(pairs_);
  }

 private:
  Status take_one(const Json& test) {
    if (!test.is_object() || !test.contains("input") || !test.contains("output"))
      return bad("a test case has no 'input' or no 'output'");
    pairs_.inputs.push_back(test["input"]);
    pairs_.outputs.push_back(test["output"]);
    const std::string name = function_of(test);
    if (is_call(test, name.empty() ? function_ : name)) ++calls_;
    if (!name.empty() && !pairs_.function.empty() && pairs_.function != name)
      return bad("the tests call both '" + pairs_.function + "' and '" + name + "'");
    if (!name.empty()) pairs_.function = name;
    return ok_status();
  }

  const std::string function_;
  Pairs pairs_;
  size_t calls_ = 0;
};

Result<Json> suite_of_live_code_bench(const Json& truth) {
  CaseList cases(function_of(truth));
  for (const char* key : {"public_test_cases", "private_test_cases"}) {
    const Json* tests = member(truth, key);
    if (tests == nullptr || *tests == "") continue;
    LS_ASSIGN_OR_RETURN(const Json list, decompressed_tests(*tests));
    LS_RETURN_IF_ERROR(cases.take(list));
  }
  return cases.suite();
}

Result<Json> suite_of_code_contests(const Json& truth) {
  Pairs pairs;
  for (const char* key : {"public_tests", "private_tests", "generated_tests"}) {
    const Json* tests = member(truth, key);
    if (tests == nullptr) continue;
    if (!tests->is_object() || !tests->contains("input") || !tests->contains("output"))
      return bad(std::string("'") + key + "' has no 'input' or no 'output'");
    LS_RETURN_IF_ERROR(take_lists((*tests)["input"], (*tests)["output"], pairs));
  }
  return suite_of_pairs(pairs);
}

Json suite_of_asserts(const Json& truth, const Json& asserts) {
  std::string code;
  for (const char* key : {"test_imports", "test_setup_code"}) {
    if (const Json* lines = member(truth, key)) code += stream_text(*lines) + "\n";
  }
  code += stream_text(asserts) + "\n";
  if (const Json* more = member(truth, "challenge_test_list")) code += stream_text(*more) + "\n";
  return {{"test", std::move(code)}};
}

bool has_line(const std::string& code, std::string_view beginning) {
  return code.starts_with(beginning) || code.find("\n" + std::string(beginning)) != code.npos;
}

// HumanEval defines check(candidate) but does not call it.
Result<Json> suite_of_checks(const Json& truth, std::string code) {
  const std::string name = function_of(truth);
  const bool defines = has_line(code, "def check("), calls = has_line(code, "check(");
  if (defines && !calls) {
    if (name.empty()) return bad("the test defines check() but there is no 'entry_point' to check");
    code += "\ncheck(" + name + ")\n";
  }
  return suite_of_asserts(truth, std::move(code));
}

// True for the text of a test file, as in KodCode and in rllm's rows of HumanEval+.
bool looks_like_checks(const std::string& text) {
  return has_line(text, "def test") || has_line(text, "def check(") || has_line(text, "assert ") ||
         has_line(text, "class Test");
}

bool all_texts(const Json& list) {
  return list.is_array() && !list.empty() &&
         std::all_of(list.begin(), list.end(), [](const Json& item) { return item.is_string(); });
}

Result<Json> suite_of_list(const Json& truth, const Json& tests) {
  if (all_texts(tests)) return suite_of_asserts(truth, tests);
  CaseList cases(function_of(truth));
  LS_RETURN_IF_ERROR(cases.take(tests));
  return cases.suite();
}

// Reads {"tests": [...]} in the form of /run_tests, or with cases in the form of the data sets.
Result<Json> suite_of_tests(const Json& truth) {
  LS_ASSIGN_OR_RETURN(const Json tests, unfolded(truth["tests"], "'tests'"));
  const auto is_ours = [](const Json& test) {
    if (!test.is_object()) return false;
    if (test.contains("args") || test.contains("value") || test.contains("values")) return true;
    return std::all_of(test.items().begin(), test.items().end(), [](const auto& item) {
      return (item.key() == "input" || item.key() == "output") && item.value().is_string();
    });
  };
  if (tests.is_array() && !truth.contains("fn_name") &&
      std::all_of(tests.begin(), tests.end(), is_ours)) {
    Json suite = truth;
    suite["tests"] = tests;
    if (!suite.contains("stop_at_first_failure")) suite["stop_at_first_failure"] = true;
    return suite;
  }
  return suite_of_list(truth, tests);
}

Result<Json> suite_of_json(const Json& truth, int layers);

Result<Json> suite_of_held(const Json& truth, const Json& held, int layers) {
  LS_ASSIGN_OR_RETURN(Json inner, unfolded(held, kWho));
  if (inner.is_array()) return suite_of_list(truth, inner);
  const std::string function = function_of(truth);
  if (inner.is_object() && !function.empty() && function_of(inner).empty())
    inner["fn_name"] = function;
  return suite_of_json(inner, layers + 1);
}

Result<Json> suite_of_object(const Json& truth, int layers) {
  if (member(truth, "inputs") != nullptr && member(truth, "outputs") != nullptr) {
    Pairs pairs{{}, {}, function_of(truth), true};
    LS_RETURN_IF_ERROR(take_lists(truth["inputs"], truth["outputs"], pairs));
    const Json* asserts = member(truth, "assert_case");
    if (asserts != nullptr && all_texts(*asserts)) return suite_of_asserts(truth, *asserts);
    return suite_of_pairs(pairs);
  }
  for (const char* key : {"test", "functional"}) {
    if (const std::string code = text_member(truth, key); !code.empty())
      return suite_of_checks(truth, code);
  }
  for (const char* key : {"test_list", "assert_case"}) {
    const Json* asserts = member(truth, key);
    if (asserts != nullptr && all_texts(*asserts)) return suite_of_asserts(truth, *asserts);
  }
  if (truth.contains("public_test_cases") || truth.contains("private_test_cases"))
    return suite_of_live_code_bench(truth);
  if (truth.contains("public_tests") || truth.contains("private_tests"))
    return suite_of_code_contests(truth);
  if (member(truth, "tests") != nullptr) return suite_of_tests(truth);
  for (const char* key : kHolders) {
    if (const Json* held = member(truth, key)) return suite_of_held(truth, *held, layers);
  }
  return bad(
      "the ground truth has none of 'inputs' with 'outputs', 'test', 'test_list', 'tests', "
      "'public_test_cases' and 'public_tests'");
}

Result<Json> suite_of_json(const Json& truth, int layers) {
  if (layers > kMaxLayers) return bad("the ground truth wraps its tests in too many objects");
  if (truth.is_string()) {
    LS_ASSIGN_OR_RETURN(const Json inner, unfolded(truth, std::string(kWho) + ": ground truth"));
    return suite_of_json(inner, layers + 1);
  }
  if (truth.is_array()) return suite_of_list(Json::object(), truth);
  if (!truth.is_object()) return bad("the ground truth is neither an object nor a list of tests");
  LS_ASSIGN_OR_RETURN(Json suite, suite_of_object(truth, layers));
  for (const char* key : kKept) {
    if (const Json* kept = member(truth, key)) suite[key] = *kept;
  }
  return suite;
}

}  // namespace

Result<Json> suite_of(const std::string& ground_truth) {
  const auto truth = parse_json(ground_truth, std::string(kWho) + ": ground truth");
  if (truth.ok()) return suite_of_json(*truth, 0);
  if (!looks_like_checks(ground_truth)) return truth.status();
  return suite_of_checks(Json::object(), ground_truth);
}

}  // namespace longshot::reward
