// Countdown: reach a target with given numbers.

#include <gmpxx.h>

#include <algorithm>
#include <optional>

#include "base/text/text.h"
#include "math/read/latex.h"
#include "reward/answer/extract.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

constexpr size_t kMaxExpression = 2000;
constexpr int kMaxDepth = 60;
constexpr size_t kMaxNumbers = 200;

struct Task {
  std::vector<long> numbers;
  mpq_class target;
};

std::optional<Task> read_task(const Json& object) {
  if (!object.is_object() || !object.contains("target")) return std::nullopt;
  const char* key = object.contains("numbers") ? "numbers" : "nums";
  if (!object.contains(key) || !object.at(key).is_array() ||
      !object.at("target").is_number_integer())
    return std::nullopt;
  Task task;
  for (const auto& n : object.at(key)) {
    if (!n.is_number_integer()) return std::nullopt;
    task.numbers.push_back(n.get<long>());
  }
  task.target = object.at("target").get<long>();
  if (task.numbers.empty() || task.numbers.size() > kMaxNumbers) return std::nullopt;
  return task;
}

Result<Task> find_task(const Question& question) {
  if (trim(question.ground_truth).starts_with("{")) {
    LS_ASSIGN_OR_RETURN(const Json truth,
                        parse_json(question.ground_truth, "countdown ground_truth"));
    if (const auto task = read_task(truth)) return *task;
  }
  if (const auto task = read_task(question.extra_info)) return *task;
  if (question.extra_info.is_object() && question.extra_info.contains("metadata")) {
    Json metadata = question.extra_info.at("metadata");
    if (metadata.is_string()) {  // the export's parquet files hold it as text
      LS_ASSIGN_OR_RETURN(metadata, parse_json(metadata.get<std::string>(), "countdown metadata"));
    }
    if (const auto task = read_task(metadata)) return *task;
  }
  return invalid_argument(
      "countdown: neither ground_truth nor extra_info holds {\"numbers\": [whole numbers], "
      "\"target\": whole number}");
}

// Exact value of an arithmetic expression and the numbers it uses. Numbers of at most nine digits
// and a bounded length keep every intermediate result small.
class Evaluator {
 public:
  explicit Evaluator(std::string_view text) : text_(text) {}

  std::optional<mpq_class> run() {
    auto value = sum();
    skip();
    return at_ == text_.size() ? value : std::nullopt;
  }
  std::vector<long> used;

 private:
  using Value = std::optional<mpq_class>;

  void skip() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool eat(std::string_view token) {
    skip();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  Value sum() {
    Value left = product();
    while (left) {
      const bool plus = eat("+");
      if (!plus && !eat("-")) break;
      const Value right = product();
      if (!right) return std::nullopt;
      *left = plus ? mpq_class(*left + *right) : mpq_class(*left - *right);
    }
    return left;
  }

  Value product() {
    Value left = factor();
    while (left) {
      const bool times = eat("*");
      if (!times && !eat("/")) break;
      const Value right = factor();
      if (!right || (!times && *right == 0)) return std::nullopt;
      *left = times ? mpq_class(*left * *right) : mpq_class(*left / *right);
    }
    return left;
  }

  Value factor() {
    if (depth_ >= kMaxDepth) return std::nullopt;
    ++depth_;
    Value out = signed_atom();
    --depth_;
    return out;
  }

  Value signed_atom() {
    if (eat("-")) {
      Value out = factor();
      if (out) *out = -*out;
      return out;
    }
    if (eat("\\frac")) return fraction();
    for (const auto& [open, close] :
         {std::pair{"(", ")"}, std::pair{"[", "]"}, std::pair{"{", "}"}}) {
      if (!eat(open)) continue;
      Value inside = sum();
      return inside && eat(close) ? inside : std::nullopt;
    }
    return number();
  }

  Value fraction() {
    const Value top = eat("{") ? sum() : std::nullopt;
    const Value bottom = top && eat("}") && eat("{") ? sum() : std::nullopt;
    if (!bottom || *bottom == 0 || !eat("}")) return std::nullopt;
    return mpq_class(*top / *bottom);
  }

  Value number() {
    skip();
    const size_t start = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    if (at_ == start || at_ - start > 9 || used.size() > kMaxNumbers) return std::nullopt;
    used.push_back(std::stol(std::string(text_.substr(start, at_ - start))));
    return mpq_class(used.back());
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

bool allowed(std::vector<long> used, std::vector<long> given, bool use_all) {
  std::sort(used.begin(), used.end());
  std::sort(given.begin(), given.end());
  return use_all ? used == given
                 : std::includes(given.begin(), given.end(), used.begin(), used.end());
}

class CountdownReward : public Reward {
 public:
  explicit CountdownReward(bool use_all) : use_all_(use_all) {}
  std::string name() const override { return "countdown"; }

  Result<Score> judge(const Question& question, Deadline) override {
    LS_ASSIGN_OR_RETURN(const Task task, find_task(question));
    const std::string answer = find_expression(question.completion);
    const bool correct = !answer.empty() && solves(answer, task);
    return Score{correct ? 1.0 : 0.0, correct, answer};
  }

 private:
  // The answer tag, the last box, the text after "answer is", the text after the last '#' (the
  // compact form of the native tasks), or the last line.
  static std::string find_expression(std::string_view completion) {
    const auto text = after_thinking(completion);
    const auto tag = last_tag(text, "answer");
    if (tag && find_boxes(*tag).boxes.empty()) return std::string(*tag);
    const auto found = extract_answer(text);
    if (found && found->marked) return found->answer;
    const auto line = last_line(text);
    return std::string(line.substr(line.rfind('#') + 1));  // npos + 1 = 0: the whole line
  }

  bool solves(const std::string& answer, const Task& task) const {
    if (answer.size() > kMaxExpression) return false;
    const std::string plain = math::plain_math(answer);
    const std::string_view text = plain;
    const size_t equals = text.find('=');
    // "3 * 4 = 12": the claimed value must equal the target too.
    if (equals != std::string_view::npos) {
      Evaluator claim(text.substr(equals + 1));
      const auto value = claim.run();
      if (!value || *value != task.target) return false;
    }
    Evaluator expression(text.substr(0, equals));
    const auto value = expression.run();
    return value && *value == task.target && allowed(expression.used, task.numbers, use_all_);
  }

  bool use_all_;
};

}  // namespace

Result<std::unique_ptr<Reward>> make_countdown(const Json& options) {
  LS_RETURN_IF_ERROR(check_options("countdown", options, {"use_all"}));
  LS_ASSIGN_OR_RETURN(const bool use_all,
                      json_get_or(options, "use_all", false, "reward countdown"));
  return std::unique_ptr<Reward>(std::make_unique<CountdownReward>(use_all));
}

}  // namespace longshot::reward
