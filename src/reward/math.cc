// Math: the extracted answer against the ground truth.

#include "reward/equal.h"
#include "reward/extract.h"
#include "reward/rules.h"
#include "reward/text.h"

namespace longshot::reward {
namespace {

// A ground truth may be a JSON list of accepted answers: ["1/2", "0.5"].
std::vector<std::string> accepted_truths(const std::string& truth) {
  const auto text = trim(truth);
  if (text.starts_with("[\"")) {
    const auto list = parse_json(text, "ground_truth");
    std::vector<std::string> out;
    if (list.ok() && list->is_array()) {
      for (const auto& item : *list) {
        if (item.is_string()) out.push_back(truth_value(item.get<std::string>()));
      }
    }
    if (!out.empty()) return out;
  }
  return {truth_value(truth)};
}

class MathReward : public Reward {
 public:
  explicit MathReward(bool last_number) : last_number_(last_number) {}
  std::string name() const override { return "math"; }

  Result<Score> judge(const Question& question, Deadline) override {
    const auto truths = accepted_truths(question.ground_truth);
    for (const auto& truth : truths) {
      if (truth.empty()) return invalid_argument("math: the row has an empty ground truth");
    }
    const auto found = extract_answer(question.completion);
    if (!found || (!found->marked && !last_number_)) return Score{};
    for (const auto& truth : truths) {
      if (equal_answers(found->answer, truth)) return Score{1.0, true, found->answer};
    }
    return Score{0.0, false, found->answer};
  }

 private:
  bool last_number_;
};

// The last line is the answer when nothing marks one.
class ReasoningGymReward : public Reward {
 public:
  std::string name() const override { return "reasoning_gym"; }

  Result<Score> judge(const Question& question, Deadline) override {
    if (question.ground_truth.empty())
      return invalid_argument("reasoning_gym: the row has an empty ground truth");
    const std::string answer = find(question.completion);
    const bool correct =
        trim(answer) == trim(question.ground_truth) || equal_answers(answer, question.ground_truth);
    return Score{correct ? 1.0 : 0.0, correct, answer};
  }

 private:
  static std::string find(std::string_view completion) {
    const auto text = after_thinking(completion);
    // A tagged answer is taken as it stands: puzzles have answers of many lines.
    if (const auto tag = last_tag(text, "answer"); tag && find_boxes(*tag).empty())
      return std::string(*tag);
    const auto found = extract_answer(text);
    if (found && found->marked) return found->answer;
    return std::string(last_line(text));
  }
};

}  // namespace

Result<std::unique_ptr<Reward>> make_math(const Json& options) {
  LS_RETURN_IF_ERROR(check_options("math", options, {"last_number"}));
  LS_ASSIGN_OR_RETURN(const bool last_number,
                      json_get_or(options, "last_number", true, "reward math"));
  return std::unique_ptr<Reward>(std::make_unique<MathReward>(last_number));
}

Result<std::unique_ptr<Reward>> make_reasoning_gym(const Json& options) {
  LS_RETURN_IF_ERROR(check_options("reasoning_gym", options, {}));
  return std::unique_ptr<Reward>(std::make_unique<ReasoningGymReward>());
}

}  // namespace longshot::reward
