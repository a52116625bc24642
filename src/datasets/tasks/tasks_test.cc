#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/os/subprocess.h"
#include "datasets/tasks/tasks.h"

namespace longshot::datasets {
namespace {

constexpr int kSamples = 10000;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// Evaluates an expression by recursive descent, and collects the numbers it uses. Integers only: a
// quotient that is not whole fails the test.
class Evaluator {
 public:
  explicit Evaluator(const std::string& text) : text_(text) {}

  int64_t value() {
    const int64_t result = sum();
    EXPECT_EQ(at_, text_.size()) << text_;
    return result;
  }
  const std::vector<int64_t>& numbers() const { return numbers_; }

 private:
  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  int64_t sum() {
    int64_t left = product();
    while (peek() == '+' || peek() == '-') {
      const char op = text_[at_++];
      const int64_t right = product();
      left = op == '+' ? left + right : left - right;
    }
    return left;
  }
  int64_t product() {
    int64_t left = atom();
    while (peek() == '*' || peek() == '/') {
      const char op = text_[at_++];
      const int64_t right = atom();
      if (op == '/') {
        EXPECT_TRUE(right != 0 && left % right == 0) << text_;
        left = right == 0 ? 0 : left / right;
      } else {
        left *= right;
      }
    }
    return left;
  }
  int64_t atom() {
    if (peek() == '(') {
      ++at_;
      const int64_t inner = sum();
      EXPECT_EQ(peek(), ')') << text_;
      ++at_;
      return inner;
    }
    int64_t number = 0;
    EXPECT_TRUE(std::isdigit(peek())) << text_;
    while (std::isdigit(peek())) number = number * 10 + (text_[at_++] - '0');
    numbers_.push_back(number);
    return number;
  }

  std::string text_;
  size_t at_ = 0;
  std::vector<int64_t> numbers_;
};

void expect_alphabet(const Task& task, const Problem& problem) {
  const std::string used = problem.chars.prompt + problem.chars.completion;
  EXPECT_EQ(used.find_first_not_of(task.alphabet), std::string::npos) << used;
}

std::string boxed(const std::string& text) {
  const size_t begin = text.rfind("\\boxed{") + 7;
  return text.substr(begin, text.rfind('}') - begin);
}

TEST(Addition, EveryStepAddsAColumnAndItsCarry) {
  CounterRng rng(1);
  for (int i = 0; i < kSamples; ++i) {
    const int digits = static_cast<int>(rng.next_int(1, 18));
    const Problem p = make_addition(digits, rng);
    expect_alphabet(*find_task("addition"), p);
    const auto halves = split(p.chars.completion, '#');
    ASSERT_EQ(halves.size(), 2u);
    const std::string sum = p.chars.prompt.substr(0, p.chars.prompt.size() - 1);
    Evaluator whole(sum);
    ASSERT_EQ(std::to_string(whole.value()), halves[1]);
    ASSERT_EQ(p.ground_truth, halves[1]);
    ASSERT_EQ(boxed(p.text.completion), halves[1]);
    const auto steps = split(halves[0], ';');
    ASSERT_EQ(steps.size(), static_cast<size_t>(digits));
    const std::string a = std::to_string(whole.numbers()[0]),
                      b = std::to_string(whole.numbers()[1]);
    int carry = 0;
    for (size_t d = 0; d < steps.size(); ++d) {
      const int x = a[a.size() - 1 - d] - '0', y = b[b.size() - 1 - d] - '0';
      ASSERT_EQ(steps[d], fmt::format("{}+{}+{}={}", x, y, carry, x + y + carry));
      carry = (x + y + carry) / 10;
    }
  }
}

TEST(Chain, RunningTotalsFollowTheProblem) {
  CounterRng rng(2);
  for (int i = 0; i < kSamples; ++i) {
    const int operations = static_cast<int>(rng.next_int(1, 20));
    const Problem p = make_chain(operations, rng);
    expect_alphabet(*find_task("chain"), p);
    const auto halves = split(p.chars.completion, '#');
    const std::string expression = p.chars.prompt.substr(0, p.chars.prompt.size() - 1);
    ASSERT_EQ(std::to_string(Evaluator(expression).value()), halves[1]);
    ASSERT_EQ(p.ground_truth, halves[1]);
    ASSERT_EQ(boxed(p.text.completion), halves[1]);
    const auto steps = split(halves[0], ';');
    ASSERT_EQ(steps.size(), static_cast<size_t>(operations));
    std::string total = expression.substr(0, 1), rebuilt = total;
    for (const std::string& step : steps) {
      const auto sides = split(step, '=');
      ASSERT_TRUE(sides[0].starts_with(total)) << p.chars.completion;
      ASSERT_EQ(std::to_string(Evaluator(sides[0]).value()), sides[1]);
      ASSERT_NE(sides[1][0], '-');
      rebuilt += sides[0].substr(total.size());
      total = sides[1];
    }
    ASSERT_EQ(rebuilt, expression);
  }
}

// Evaluates from left to right, as a pocket calculator does.
int64_t by_hand(const std::string& expression) {
  int64_t total = 0;
  char sign = '+';
  for (size_t at = 0; at < expression.size();) {
    size_t end = at;
    while (end < expression.size() && std::isdigit(expression[end])) ++end;
    const int64_t term = std::stoll(expression.substr(at, end - at));
    total = sign == '+' ? total + term : sign == '-' ? total - term : total * term;
    if (end < expression.size()) sign = expression[end];
    at = end + 1;
  }
  return total;
}

TEST(Check, TheStepsLeadToTheVerdict) {
  CounterRng rng(5);
  int right = 0;
  for (int i = 0; i < kSamples; ++i) {
    const int operations = static_cast<int>(rng.next_int(1, 20));
    const Problem p = make_check(operations, rng);
    expect_alphabet(*find_task("check"), p);
    ASSERT_TRUE(p.claim.has_value());
    const Claim& claim = *p.claim;
    const std::string expression = claim.chars.prompt.substr(0, claim.chars.prompt.size() - 1);
    const int64_t result = by_hand(expression), said = std::stoll(claim.chars.completion);
    ASSERT_EQ(claim.right, result == said) << p.chars.prompt;
    ASSERT_LE(std::abs(result - said), 10);
    ASSERT_EQ(p.ground_truth, claim.right ? "true" : "false");
    ASSERT_EQ(p.chars.prompt, claim.chars.prompt + claim.chars.completion + "?");
    auto steps = split(p.chars.completion, ';');
    ASSERT_EQ(steps.size(), static_cast<size_t>(operations) + 3);
    ASSERT_EQ(steps.back(), claim.right ? "{\"correct\": true}" : "{\"correct\": false}");
    const std::string ones = steps[steps.size() - 3], tens = steps[steps.size() - 2];
    ASSERT_EQ((tens[0] - '0') * 10 + ones[0] - '0', result) << p.chars.completion;
    ASSERT_EQ((tens[2] - '0') * 10 + ones[2] - '0', said) << p.chars.completion;
    ASSERT_EQ(ones[3] == '=' && tens[3] == '=', claim.right) << p.chars.completion;
    steps.resize(steps.size() - 3);
    std::string total = expression.substr(0, 1);
    for (const std::string& step : steps) {
      const auto sides = split(step, '=');
      ASSERT_TRUE(sides[0].starts_with(total)) << p.chars.completion;
      ASSERT_EQ(std::to_string(by_hand(sides[0])), sides[1]);
      total = sides[1];
    }
    ASSERT_EQ(total, std::to_string(result));
    ASSERT_TRUE(p.text.completion.ends_with(split(p.chars.completion, ';').back()));
    right += claim.right;
  }
  EXPECT_NEAR(right, kSamples / 2, kSamples / 10);
}

// Walks a countdown trace with a state of its own and checks each claim of it.
class TraceWalker {
 public:
  TraceWalker(std::vector<int64_t> numbers, int64_t target, std::string trace)
      : state_(std::move(numbers)), target_(target), trace_(std::move(trace)) {
    std::sort(state_.begin(), state_.end());
    visited_.insert(state_);
  }

  // True if every claim holds and the trace ends with "ok".
  bool walk() {
    bool solved = false;
    while (at_ < trace_.size()) {
      if (solved) return fail("goes on after ok");
      const char c = trace_[at_++];
      if (c == '?') {
        if (!attempt()) return false;
      } else if (c == '<') {
        ++backtracks;
        state_ = list();
        if (!visited_.contains(state_)) return fail("goes back to where it never was");
      } else if (c == 'n' && trace_[at_] == 'o') {
        ++at_;
        ++misses;
        if (leaf_ == target_) return fail("rejects a solution");
      } else if (c == 'o' && trace_[at_] == 'k') {
        ++at_;
        if (leaf_ != target_) return fail("accepts a wrong result");
        solved = true;
      } else {
        return fail("unexpected character");
      }
    }
    return solved || fail("ends without ok");
  }

  int misses = 0, backtracks = 0;

 private:
  bool fail(const std::string& why) {
    ADD_FAILURE() << why << " at " << at_ << ": " << trace_;
    return false;
  }
  int64_t number() {
    int64_t value = 0;
    while (at_ < trace_.size() && std::isdigit(trace_[at_]))
      value = value * 10 + (trace_[at_++] - '0');
    return value;
  }
  std::vector<int64_t> list() {
    std::vector<int64_t> values;
    do {
      ++at_;  // '[' or ','
      values.push_back(number());
    } while (at_ < trace_.size() && trace_[at_] == ',');
    ++at_;  // ']'
    return values;
  }
  bool take(std::vector<int64_t>& state, int64_t value) {
    const auto it = std::find(state.begin(), state.end(), value);
    if (it == state.end()) return false;
    state.erase(it);
    return true;
  }
  bool attempt() {
    const size_t begin = at_;
    const int64_t a = number();
    ++at_;
    const int64_t b = number();
    const int64_t claimed = Evaluator(trace_.substr(begin, at_ - begin)).value();
    ++at_;  // '='
    if (number() != claimed) return fail("wrong arithmetic");
    std::vector<int64_t> next = state_;
    if (!take(next, a) || !take(next, b)) return fail("uses a number that is not there");
    next.push_back(claimed);
    std::sort(next.begin(), next.end());
    if (next.size() == 1) {
      leaf_ = claimed;
      return true;
    }
    if (list() != next) return fail("states wrong numbers");
    state_ = next;
    visited_.insert(next);
    return true;
  }

  std::vector<int64_t> state_;
  int64_t target_;
  std::string trace_;
  size_t at_ = 0;
  int64_t leaf_ = -1;
  std::set<std::vector<int64_t>> visited_;
};

TEST(Countdown, EveryTraceIsASoundSearchThatEndsInTheSolution) {
  CounterRng rng(3);
  const Task& task = *find_task("countdown");
  int with_miss = 0, with_backtrack = 0;
  for (int i = 0; i < kSamples; ++i) {
    const int count = static_cast<int>(rng.next_int(task.min_level, task.max_level));
    const Problem p = make_countdown(count, rng);
    expect_alphabet(task, p);
    auto numbers = p.ground_truth["numbers"].get<std::vector<int64_t>>();
    const auto target = p.ground_truth["target"].get<int64_t>();
    ASSERT_EQ(numbers.size(), static_cast<size_t>(count));
    ASSERT_EQ(p.chars.prompt, fmt::format("{}>{}:", fmt::join(numbers, ","), target));
    const auto halves = split(p.chars.completion, '#');
    ASSERT_EQ(halves.size(), 2u);
    TraceWalker walker(numbers, target, halves[0]);
    ASSERT_TRUE(walker.walk());
    with_miss += walker.misses > 0;
    with_backtrack += walker.backtracks > 0;
    std::sort(numbers.begin(), numbers.end());
    for (const std::string& answer : {halves[1], boxed(p.text.completion)}) {
      Evaluator evaluator(answer);
      ASSERT_EQ(evaluator.value(), target) << answer;
      auto used = evaluator.numbers();
      std::sort(used.begin(), used.end());
      ASSERT_EQ(used, numbers) << answer;
    }
  }
  EXPECT_GT(with_miss, kSamples / 2);
  EXPECT_GT(with_backtrack, kSamples / 3);
}

TEST(Countdown, TextTracesClaimOnlyWhatIsTrue) {
  CounterRng rng(4);
  for (int i = 0; i < 1000; ++i) {
    const Problem p = make_countdown(4, rng);
    const auto target = p.ground_truth["target"].get<int64_t>();
    int64_t last = -1;
    std::stringstream lines(p.text.completion);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("Try ")) {
        const size_t equals = line.find(" = ");
        last = std::stoll(line.substr(equals + 3));
        ASSERT_EQ(Evaluator(line.substr(4, equals - 4)).value(), last) << line;
      }
      if (line.find("That is not") != std::string::npos) {
        ASSERT_NE(last, target) << line;
      }
      if (line.find("That is " + std::to_string(target) + ".") != std::string::npos) {
        ASSERT_EQ(last, target) << line;
      }
    }
  }
}

// Runs each [program, inputs] of the JSON list on its standard input, and prints the outputs.
const char* const kRunPrograms = R"(
import io, json, sys
def run(program, text):
    sys.stdin, sys.stdout = io.StringIO(text), io.StringIO()
    exec(program, {})
    return sys.stdout.getvalue().strip()
found = [[run(program, text) for text in inputs] for program, inputs in json.load(sys.stdin)]
sys.__stdout__.write(json.dumps(found))
)";

TEST(Programs, PythonGivesTheOutputsOfTheGroundTruth) {
  CounterRng rng(4);
  Json jobs = Json::array(), expected = Json::array();
  for (int i = 0; i < 2000; ++i) {
    const Problem p = make_program(static_cast<int>(rng.next_int(1, 8)), rng);
    expect_alphabet(*find_task("programs"), p);
    const std::string fence = "```python\n", &text = p.chars.completion;
    ASSERT_TRUE(text.starts_with(fence) && text.ends_with("\n```")) << text;
    const std::string program = text.substr(fence.size(), text.size() - fence.size() - 3);
    jobs.push_back({program, p.ground_truth["inputs"]});
    expected.push_back(p.ground_truth["outputs"]);
  }
  SubprocessOptions options;
  options.argv = {"python3", "-c", kRunPrograms};
  const auto done = run_process(options, dump_json(jobs), Deadline::after_seconds(60));
  ASSERT_TRUE(done.ok()) << done.status().to_string();
  const Json found = Json::parse(done->out);
  for (size_t i = 0; i < jobs.size(); ++i) ASSERT_EQ(found[i], expected[i]) << jobs[i];
}

TEST(Programs, AConstantPassesFewOfThem) {
  CounterRng rng(5);
  int constant = 0;
  constexpr int kPrograms = 2000;
  for (int i = 0; i < kPrograms; ++i) {
    const Json outputs = make_program(3, rng).ground_truth["outputs"];
    constant += std::all_of(outputs.begin(), outputs.end(),
                            [&](const Json& output) { return output == outputs[0]; });
  }
  EXPECT_LT(constant, kPrograms / 10);  // a program that prints a constant passes few problems
}

}  // namespace
}  // namespace longshot::datasets
