// The table of reward functions, and "auto".

#include <algorithm>
#include <cmath>

#include "base/text/text.h"
#include "reward/code/code.h"
#include "reward/external/external.h"
#include "reward/judge/judge.h"
#include "reward/reward.h"
#include "reward/rules/ifeval/ifeval.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

constexpr RewardType kTable[] = {
    {"auto", make_auto, true},
    {"math", make_math, true},
    {"choice", make_choice, true},
    {"countdown", make_countdown, true},
    {"exact", make_exact, true},
    {"reasoning_gym", make_reasoning_gym, true},
    {"ifeval", make_ifeval, true},
    {"format", make_format, false},
    {"repetition", make_repetition, false},
    {"python", make_python, true},
    {"command", make_command, true},
    {"http", make_http, true},
    {"code", make_code, true},
    {"judge", make_judge, true},
};

const RewardType* find_type(const std::string& type, std::span<const RewardType> more = {}) {
  for (const std::span<const RewardType> table : {more, std::span<const RewardType>(kTable)}) {
    for (const RewardType& entry : table) {
      if (type == entry.type) return &entry;
    }
  }
  return nullptr;
}

Status unknown_type(const std::string& type, std::span<const RewardType> more = {}) {
  std::string names;
  for (const auto& entry : kTable) names.append(names.empty() ? "" : ", ").append(entry.type);
  for (const auto& entry : more) {
    if (find_type(entry.type) == nullptr) names.append(", ").append(entry.type);
  }
  return invalid_argument("unknown reward function '" + type + "'; known are " + names);
}

constexpr std::string_view kChoiceSources[] = {
    "mmlu",          "gpqa",       "ai2_arc", "arc-",       "arc_",
    "ceval",         "c-eval",     "agieval", "truthfulqa", "commonsense_qa",
    "commonsenseqa", "openbookqa", "sciq",    "hellaswag",  "choice"};

class AutoReward : public Reward {
 public:
  AutoReward(std::unique_ptr<Reward> math, std::unique_ptr<Reward> choice,
             std::unique_ptr<Reward> countdown, std::unique_ptr<Reward> gym)
      : math_(std::move(math)),
        choice_(std::move(choice)),
        countdown_(std::move(countdown)),
        gym_(std::move(gym)) {}
  std::string name() const override { return "auto"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    Reward& reward = choose(question);
    if (&reward == math_.get() && is_program_or_object(question))
      return invalid_argument(
          "auto: the ground truth is an object or a list of assertions, such as the tests of a "
          "program, and not an answer to compare with; name the reward, for example \"code\"");
    return reward.judge(question, deadline);
  }

 private:
  // Such as the tests of a program, which the math reward would compare with the program's text.
  static bool is_program_or_object(const Question& question) {
    Json truth = question.ground_truth_json;
    if (truth.is_null() && trim(question.ground_truth).find_first_of("{[") == 0)
      if (auto parsed = parse_json(question.ground_truth, "ground_truth"); parsed.ok())
        truth = *std::move(parsed);
    if (truth.is_object()) return !truth.empty();
    const auto is_assertion = [](const Json& entry) {
      return entry.is_string() && trim(entry.get_ref<const std::string&>()).starts_with("assert ");
    };
    return truth.is_array() && !truth.empty() &&
           std::all_of(truth.begin(), truth.end(), is_assertion);
  }

  Reward& choose(const Question& question) const {
    const std::string source = to_lower(question.data_source);
    if (source.find("countdown") != std::string::npos) return *countdown_;
    if (source.starts_with("reasoning_gym/")) return *gym_;
    for (const auto name : kChoiceSources) {
      if (source.find(name) != std::string::npos) return *choice_;
    }
    return looks_like_choice(question) ? *choice_ : *math_;
  }

  static bool looks_like_choice(const Question& question) {
    const auto truth = trim(question.ground_truth);
    const auto& extra = question.extra_info;
    return truth.size() == 1 && truth[0] >= 'A' && truth[0] <= 'J' && extra.is_object() &&
           (extra.contains("choices") || extra.contains("options"));
  }

  std::unique_ptr<Reward> math_, choice_, countdown_, gym_;
};

// "math", "format:0.2"
Result<RewardSpec> parse_compact(const std::string& text, const std::string& where) {
  RewardSpec spec;
  const size_t colon = text.find(':');
  spec.type = std::string(trim(std::string_view(text).substr(0, colon)));
  if (colon != std::string::npos) {
    char* end = nullptr;
    const std::string number(trim(std::string_view(text).substr(colon + 1)));
    spec.weight = std::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0')
      return invalid_argument(where + ": the weight of '" + text + "' is not a number");
  }
  return spec;
}

Result<RewardSpec> parse_object(const Json& json, const std::string& where) {
  RewardSpec spec;
  LS_ASSIGN_OR_RETURN(spec.type, json_get<std::string>(json, "type", where));
  LS_ASSIGN_OR_RETURN(spec.weight, json_get_or(json, "weight", 1.0, where));
  for (const auto& [key, value] : json.items()) {
    if (key != "type" && key != "weight" && key != "decides_correct") spec.options[key] = value;
  }
  return spec;
}

Result<RewardSpec> parse_one(const Json& json, std::span<const RewardType> more,
                             const std::string& where) {
  if (!json.is_string() && !json.is_object()) {
    return invalid_argument(where +
                            ": expected \"type\", \"type:weight\" or an object with a type");
  }
  LS_ASSIGN_OR_RETURN(RewardSpec spec, json.is_string()
                                           ? parse_compact(json.get<std::string>(), where)
                                           : parse_object(json, where));
  if (!std::isfinite(spec.weight)) {
    return invalid_argument(where + ": the weight of '" + spec.type + "' is not a finite number");
  }
  spec.kind = find_type(spec.type, more);
  if (spec.kind == nullptr) return unknown_type(spec.type, more).with_context(where);
  LS_ASSIGN_OR_RETURN(spec.decides_correct,
                      json_get_or(json, "decides_correct", spec.kind->decides_correct, where));
  return spec;
}

}  // namespace

Status check_options(const std::string& type, const Json& options,
                     const std::vector<std::string>& known) {
  if (options.is_null()) return {};
  if (!options.is_object())
    return invalid_argument("reward " + type + ": options must be an object");
  for (const auto& [key, value] : options.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string names;
    for (const auto& k : known) names.append(names.empty() ? "" : ", ").append(k);
    return invalid_argument("reward " + type + ": unknown option '" + key + "'" +
                            (names.empty() ? "; it has none" : "; known are " + names));
  }
  return {};
}

Result<std::unique_ptr<Reward>> make_auto(const Json& options) {
  LS_RETURN_IF_ERROR(check_options("auto", options, {}));
  const Json none;
  LS_ASSIGN_OR_RETURN(auto math, make_math(none));
  LS_ASSIGN_OR_RETURN(auto choice, make_choice(none));
  LS_ASSIGN_OR_RETURN(auto countdown, make_countdown(none));
  LS_ASSIGN_OR_RETURN(auto gym, make_reasoning_gym(none));
  return std::unique_ptr<Reward>(std::make_unique<AutoReward>(
      std::move(math), std::move(choice), std::move(countdown), std::move(gym)));
}

Result<std::unique_ptr<Reward>> make_reward(const RewardSpec& spec) {
  const RewardType* kind = spec.kind != nullptr ? spec.kind : find_type(spec.type);
  if (kind == nullptr) return unknown_type(spec.type);
  return kind->make(spec.options);
}

Result<std::vector<RewardSpec>> parse_reward_list(const Json& json,
                                                  std::span<const RewardType> more) {
  if (!json.is_array()) return invalid_argument("reward.functions must be a list");
  std::vector<RewardSpec> specs;
  for (size_t i = 0; i < json.size(); ++i) {
    LS_ASSIGN_OR_RETURN(RewardSpec spec,
                        parse_one(json[i], more, "reward.functions[" + std::to_string(i) + "]"));
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace longshot::reward
