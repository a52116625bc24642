#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "datasets/tasks/tasks.h"

namespace longshot::datasets {
namespace {

// Limits of numbers and results, indexed by how many numbers there are.
struct Size {
  int64_t largest_number, largest_result;
};
constexpr Size kSizes[] = {{0, 0}, {0, 0}, {20, 99}, {20, 99}, {30, 99}, {50, 299}, {99, 999}};
constexpr char kOperators[] = {'+', '-', '*', '/'};
// Wrong tries before the right step at each state of the solution: none with probability
// kNoWrongTry, at most one with probability kOneWrongTry, else two.
constexpr double kNoWrongTry = 0.4, kOneWrongTry = 0.75;

// An available number and the expression that made it.
struct Term {
  int64_t value = 0;
  std::string expression;
  bool compound = false;
};
using State = std::vector<Term>;

struct Step {
  size_t left = 0, right = 0;  // indices into the state
  char op = '+';
  int64_t result = 0;
};

enum class EventKind { attempt, miss, hit, back };
struct Event {
  EventKind kind;
  int64_t a = 0, b = 0, result = 0;
  char op = '+';
  // The numbers left after an attempt (empty at a leaf), or those to which the search goes back.
  std::vector<int64_t> state = {};
};

// The result in [1, largest], or 0 if the step is not allowed: differences stay positive, quotients
// whole.
int64_t apply(int64_t a, char op, int64_t b, int64_t largest) {
  int64_t result = 0;
  if (op == '+') result = a + b;
  if (op == '-') result = a - b;
  if (op == '*') result = a * b;
  if (op == '/') result = b > 1 && a % b == 0 ? a / b : 0;
  return result > 0 && result <= largest ? result : 0;
}

std::vector<int64_t> sorted_values(const State& state) {
  std::vector<int64_t> values;
  for (const Term& term : state) values.push_back(term.value);
  std::sort(values.begin(), values.end());
  return values;
}

std::string wrapped(const Term& term) {
  return term.compound ? "(" + term.expression + ")" : term.expression;
}

State after(const State& state, const Step& step) {
  State next;
  for (size_t i = 0; i < state.size(); ++i) {
    if (i != step.left && i != step.right) next.push_back(state[i]);
  }
  next.push_back(
      {step.result, wrapped(state[step.left]) + step.op + wrapped(state[step.right]), true});
  return next;
}

// A random allowed step. There always is one: the smaller of two numbers can be taken from the
// larger, or, if they are equal, the quotient is 1 or both are 1 and their sum is 2.
Step random_step(const State& state, int64_t largest, CounterRng& rng) {
  while (true) {
    Step step;
    step.left = rng.next_below(state.size());
    step.right = rng.next_below(state.size());
    step.op = kOperators[rng.next_below(std::size(kOperators))];
    if (step.left == step.right) continue;
    step.result = apply(state[step.left].value, step.op, state[step.right].value, largest);
    if (step.result > 0) return step;
  }
}

Event attempt_event(const State& state, const Step& step, const State& next) {
  Event event{EventKind::attempt,
              state[step.left].value,
              state[step.right].value,
              step.result,
              step.op,
              {}};
  if (next.size() > 1) event.state = sorted_values(next);
  return event;
}

// One wrong try from `state`: a dive to a leaf, with a second leaf half of the time, and the way
// back. Empty if the dive met the target after all.
std::vector<Event> wrong_try(const State& state, const Step& first, int64_t target, int64_t largest,
                             CounterRng& rng) {
  std::vector<Event> events;
  State present = state;
  Step step = first;
  while (true) {
    const State next = after(present, step);
    events.push_back(attempt_event(present, step, next));
    if (next.size() == 1) break;
    present = next;
    step = random_step(present, largest, rng);
  }
  if (step.result == target) return {};
  events.push_back({EventKind::miss});
  if (state.size() == 2) return events;  // the leaf's state is where the try began
  const Step second = random_step(present, largest, rng);
  const bool same = second.left == step.left && second.op == step.op;
  if (!same && second.result != target && rng.next_below(2) == 0) {
    events.push_back(attempt_event(present, second, after(present, second)));
    events.push_back({EventKind::miss});
  }
  events.push_back({EventKind::back, 0, 0, 0, '+', sorted_values(state)});
  return events;
}

std::string signature(const State& state, const Step& step) {
  return fmt::format("{}{}{}", state[step.left].value, step.op, state[step.right].value);
}

void add_wrong_tries(const State& state, const Step& right_step, int64_t target, int64_t largest,
                     CounterRng& rng, std::vector<Event>& events) {
  const double u = rng.next_double();
  const int wanted = u < kNoWrongTry ? 0 : u < kOneWrongTry ? 1 : 2;
  std::set<std::string> tried = {signature(state, right_step)};
  for (int i = 0; i < wanted; ++i) {
    const Step step = random_step(state, largest, rng);
    if (!tried.insert(signature(state, step)).second) continue;
    const auto more = wrong_try(state, step, target, largest, rng);
    events.insert(events.end(), more.begin(), more.end());
  }
}

std::string render_chars(const std::vector<Event>& events) {
  std::string out;
  for (const Event& e : events) {
    switch (e.kind) {
      case EventKind::attempt:
        out += fmt::format("?{}{}{}={}", e.a, e.op, e.b, e.result);
        break;
      case EventKind::miss:
        out += "no";
        break;
      case EventKind::hit:
        out += "ok";
        break;
      case EventKind::back:
        out += "<";
        break;
    }
    if (!e.state.empty()) out += fmt::format("[{}]", fmt::join(e.state, ","));
  }
  return out;
}

std::string render_text(const std::vector<Event>& events, int64_t target) {
  std::string out;
  for (const Event& e : events) {
    const auto list = fmt::format("{}", fmt::join(e.state, ", "));
    switch (e.kind) {
      case EventKind::attempt:
        out += fmt::format("Try {} {} {} = {}", e.a, e.op, e.b, e.result);
        out += e.state.empty() ? ". " : fmt::format(", which leaves {}.\n", list);
        break;
      case EventKind::miss:
        out += fmt::format("That is not {}.\n", target);
        break;
      case EventKind::hit:
        out += fmt::format("That is {}.\n", target);
        break;
      case EventKind::back:
        out += fmt::format("This does not work. Go back to {}.\n", list);
        break;
    }
  }
  return out;
}

// "7*3-5" as people write it.
std::string spaced(const std::string& expression) {
  std::string out;
  for (const char c : expression) {
    if (std::find(std::begin(kOperators), std::end(kOperators), c) != std::end(kOperators)) {
      out += fmt::format(" {} ", c);
    } else {
      out += c;
    }
  }
  return out;
}

State random_numbers(int count, int64_t largest, CounterRng& rng) {
  State state;
  for (int i = 0; i < count; ++i) {
    const int64_t value = rng.next_int(1, largest);
    state.push_back({value, std::to_string(value), false});
  }
  return state;
}

}  // namespace

// "3,7,5>16:" -> "?3+7=10[5,10]?5+10=15no<[3,5,7]?7*3=21[5,21]?21-5=16ok#(7*3)-5".
//   ?a op b=r  proposes a step and evaluates it
//   [..]       the numbers that are then left
//   no, ok     the last number is not, or is, the target
//   <[..]      backtracks to these numbers
// The steps of the solution are drawn first, so the problem is solvable. Then wrong tries, each
// checked to miss, are put before them.
Problem make_countdown(int count, CounterRng& rng) {
  LS_CHECK(count >= 2 && count < static_cast<int>(std::size(kSizes)),
           "no size for this many numbers");
  const Size size = kSizes[count];
  const State start = random_numbers(count, size.largest_number, rng);
  std::vector<Step> solution;
  State state = start;
  while (state.size() > 1) {
    solution.push_back(random_step(state, size.largest_result, rng));
    state = after(state, solution.back());
  }
  const int64_t target = state.front().value;
  const std::string expression = state.front().expression;

  std::vector<Event> events;
  state = start;
  for (const Step& step : solution) {
    add_wrong_tries(state, step, target, size.largest_result, rng, events);
    const State next = after(state, step);
    events.push_back(attempt_event(state, step, next));
    state = next;
  }
  events.push_back({EventKind::hit});

  std::vector<int64_t> numbers;
  for (const Term& term : start) numbers.push_back(term.value);
  Problem problem;
  problem.key = fmt::format("{}>{}", fmt::join(sorted_values(start), ","), target);
  problem.ground_truth = {{"numbers", numbers}, {"target", target}};
  problem.chars.prompt = fmt::format("{}>{}:", fmt::join(numbers, ","), target);
  problem.chars.completion = render_chars(events) + "#" + expression;
  problem.text.prompt = fmt::format(
      "Using the numbers {}, write an expression that equals {}. "
      "Use each number exactly once, "
      "with +, -, * and /. "
      "Think step by step, try out steps, go back where they do "
      "not lead to the target, and put "
      "the final "
      "expression in \\boxed{{}}.",
      fmt::join(numbers, ", "), target);
  problem.text.completion = fmt::format("I start with {}.\n{}The expression is \\boxed{{{}}}.",
                                        fmt::join(sorted_values(start), ", "),
                                        render_text(events, target), spaced(expression));
  return problem;
}

}  // namespace longshot::datasets
