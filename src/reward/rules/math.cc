// Math: the extracted answer against the ground truth.

#include "base/text/text.h"
#include "math/compare/equal.h"
#include "reward/answer/extract.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

// A ground truth may be a JSON list of accepted answers, ["1/2", "0.5"], or of one number, [5].
// [1, 2] is an interval.
std::vector<std::string> accepted_truths(const std::string& truth) {
  const auto list = accepted_answers(truth);
  const bool interval = list.size() > 1 && truth.find('"') == std::string::npos;
  if (list.empty() || interval) return {truth_value(truth)};
  std::vector<std::string> out;
  for (const auto& item : list) out.push_back(truth_value(item));
  return out;
}

struct MathOptions {
  bool last_number = true;
  math::EqualOptions equal;
};

class MathReward : public Reward {
 public:
  explicit MathReward(const MathOptions& options) : options_(options) {}
  std::string name() const override { return "math"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    const auto truths = accepted_truths(question.ground_truth);
    for (const auto& truth : truths) {
      if (truth.empty()) return invalid_argument("math: the row has an empty ground truth");
    }
    const auto found = extract_answer(question.completion);
    if (!found || (!found->marked && !options_.last_number)) return Score{};
    for (const auto& truth : truths) {
      LS_ASSIGN_OR_RETURN(const bool equal,
                          math::equal_answers(found->answer, truth, options_.equal, deadline));
      if (equal) return Score{1.0, true, found->answer};
    }
    return Score{0.0, false, found->answer};
  }

 private:
  const MathOptions options_;
};

// Like math, but the last line is the answer if nothing marks one, and equal text is correct.
class ReasoningGymReward : public Reward {
 public:
  std::string name() const override { return "reasoning_gym"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    if (question.ground_truth.empty())
      return invalid_argument("reasoning_gym: the row has an empty ground truth");
    const std::string answer = find(question.completion);
    bool correct = trim(answer) == trim(question.ground_truth);
    if (!correct) {
      LS_ASSIGN_OR_RETURN(correct,
                          math::equal_answers(answer, question.ground_truth, {}, deadline));
    }
    return Score{correct ? 1.0 : 0.0, correct, answer};
  }

 private:
  static std::string find(std::string_view completion) {
    const auto text = after_thinking(completion);
    // A tagged answer is used unchanged: answers of puzzles have many lines.
    if (const auto tag = last_tag(text, "answer"); tag && find_boxes(*tag).boxes.empty())
      return std::string(*tag);
    const auto found = extract_answer(text);
    if (found && found->marked) return found->answer;
    return std::string(last_line(text));
  }
};

}  // namespace

namespace {

Result<MathOptions> read_options(const Json& json) {
  const std::string where = "reward math";
  LS_RETURN_IF_ERROR(
      check_options("math", json,
                    {"last_number", "digits", "strict", "set_relation", "bare_percent",
                     "ignore_units", "positive", "symbolic_seconds", "symbolic_megabytes"}));
  MathOptions out;
  math::EqualOptions& e = out.equal;
  LS_ASSIGN_OR_RETURN(out.last_number, json_get_or(json, "last_number", out.last_number, where));
  LS_ASSIGN_OR_RETURN(e.digits, json_get_or(json, "digits", e.digits, where));
  LS_ASSIGN_OR_RETURN(e.strict, json_get_or(json, "strict", e.strict, where));
  LS_ASSIGN_OR_RETURN(e.set_relation, json_get_or(json, "set_relation", e.set_relation, where));
  LS_ASSIGN_OR_RETURN(e.bare_percent, json_get_or(json, "bare_percent", e.bare_percent, where));
  LS_ASSIGN_OR_RETURN(e.ignore_units, json_get_or(json, "ignore_units", e.ignore_units, where));
  LS_ASSIGN_OR_RETURN(e.positive, json_get_or(json, "positive", e.positive, where));
  LS_ASSIGN_OR_RETURN(const double seconds, json_get_or(json, "symbolic_seconds", 1.0, where));
  LS_ASSIGN_OR_RETURN(e.limits.megabytes,
                      json_get_or(json, "symbolic_megabytes", e.limits.megabytes, where));
  if (e.digits < 0 || e.digits > 15) return invalid_argument(where + ": digits must be 0 to 15");
  if (!(seconds >= 0.001 && seconds <= 3600))
    return invalid_argument(where + ": symbolic_seconds must be 0.001 to 3600");
  if (e.limits.megabytes < 64)
    return invalid_argument(where + ": symbolic_megabytes must be at least 64");
  e.limits.cpu_milliseconds = static_cast<int>(seconds * 1000);
  return out;
}

}  // namespace

Result<std::unique_ptr<Reward>> make_math(const Json& options) {
  LS_ASSIGN_OR_RETURN(const MathOptions read, read_options(options));
  return std::unique_ptr<Reward>(std::make_unique<MathReward>(read));
}

Result<std::unique_ptr<Reward>> make_reasoning_gym(const Json& options) {
  LS_RETURN_IF_ERROR(check_options("reasoning_gym", options, {}));
  return std::unique_ptr<Reward>(std::make_unique<ReasoningGymReward>());
}

}  // namespace longshot::reward
