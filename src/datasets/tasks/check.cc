#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "datasets/tasks/tasks.h"

namespace longshot::datasets {
namespace {

constexpr int64_t kMaxTotal = 99;

// A step of a pocket calculator that keeps the total between 0 and kMaxTotal.
struct Step {
  char sign;
  int64_t term, total;
};

Step next_step(int64_t total, CounterRng& rng) {
  while (true) {
    const int64_t term = rng.next_int(1, 9);
    switch (rng.next_below(3)) {
      case 0:
        if (total + term <= kMaxTotal) return {'+', term, total + term};
        break;
      case 1:
        if (total >= term) return {'-', term, total - term};
        break;
      default:
        if (term > 1 && total > 0 && total * term <= kMaxTotal) return {'*', term, total * term};
    }
  }
}

// Differs from the result by one or two, or in the tens digit.
int64_t near_miss(int64_t result, CounterRng& rng) {
  constexpr int64_t kDistances[] = {-10, -2, -1, 1, 2, 10};
  while (true) {
    const int64_t claim = result + kDistances[rng.next_below(std::size(kDistances))];
    if (claim >= 0 && claim <= kMaxTotal) return claim;
  }
}

// "4:4=;6:6=;" for 64 and 64, "4:3#;6:6=;" for 64 and 63: the digits of each place side by side,
// ones first.
std::string compare(int64_t result, int64_t claim) {
  std::string out;
  for (const int64_t place : {1, 10}) {
    const int64_t a = result / place % 10, b = claim / place % 10;
    out += fmt::format("{}:{}{};", a, b, a == b ? '=' : '#');
  }
  return out;
}

}  // namespace

// "7*8-9+6=53?" -> "7*8=56;56-9=47;47+6=53;3:3=;5:5=;{"correct": true}": one step for each
// operation, the comparison of the result with the claimed one, then the verdict. Half of the
// claims are right.
Problem make_check(int operations, CounterRng& rng) {
  int64_t total = rng.next_int(1, 9);
  std::string expression = std::to_string(total), spaced = expression, chars, text;
  for (int i = 0; i < operations; ++i) {
    const Step step = next_step(total, rng);
    expression += fmt::format("{}{}", step.sign, step.term);
    spaced += fmt::format(" {} {}", step.sign, step.term);
    chars += fmt::format("{}{}{}={};", total, step.sign, step.term, step.total);
    text += fmt::format("{} {} {} = {}.\n", total, step.sign, step.term, step.total);
    total = step.total;
  }
  const bool right = rng.next_below(2) == 0;
  const int64_t claim = right ? total : near_miss(total, rng);
  const std::string verdict = fmt::format("{{\"correct\": {}}}", right);
  const std::string question =
      fmt::format("Calculate {} from left to right, one step at a time.", spaced);
  const std::string answer = fmt::format("The result is {}.", claim);
  Problem problem;
  problem.key = expression;
  problem.ground_truth = right ? "true" : "false";
  problem.chars = {fmt::format("{}={}?", expression, claim),
                   chars + compare(total, claim) + verdict};
  problem.text = {fmt::format("{}\n\nIs this answer right? {}\n\nCalculate, then end with "
                              "{{\"correct\": true}} or {{\"correct\": false}}.",
                              question, answer),
                  text + fmt::format("The answer says {}.\n", claim) + verdict};
  problem.claim = {{expression + "=", std::to_string(claim)}, {question, answer}, right};
  return problem;
}

}  // namespace longshot::datasets
