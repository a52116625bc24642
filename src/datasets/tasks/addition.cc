#include <fmt/format.h>

#include <algorithm>

#include "datasets/tasks/tasks.h"

namespace longshot::datasets {
namespace {

int64_t random_number(int digits, CounterRng& rng) {
  int64_t low = 1;
  for (int i = 1; i < digits; ++i) low *= 10;
  return rng.next_int(digits == 1 ? 0 : low, low * 10 - 1);
}

}  // namespace

// "345+678=" -> "5+8+0=13;4+7+1=12;3+6+1=10;#1023": each step adds a column and the carry of the
// one before.
Problem make_addition(int digits, CounterRng& rng) {
  const int64_t a = random_number(digits, rng), b = random_number(digits, rng);
  Problem problem;
  problem.key = fmt::format("{}+{}", std::min(a, b), std::max(a, b));
  problem.ground_truth = std::to_string(a + b);
  problem.chars.prompt = fmt::format("{}+{}=", a, b);
  problem.text.prompt = fmt::format(
      "What is {} + {}? Add column by column from the right, and "
      "put the final answer in "
      "\\boxed{{}}.",
      a, b);
  int64_t rest_a = a, rest_b = b;
  int carry = 0;
  for (int column = 1; column <= digits; ++column) {
    const int x = static_cast<int>(rest_a % 10), y = static_cast<int>(rest_b % 10),
              sum = x + y + carry;
    problem.chars.completion += fmt::format("{}+{}+{}={};", x, y, carry, sum);
    problem.text.completion +=
        fmt::format("Column {}: {} + {} + carry {} = {}, write {}, carry {}.\n", column, x, y,
                    carry, sum, sum % 10, sum / 10);
    carry = sum / 10;
    rest_a /= 10;
    rest_b /= 10;
  }
  problem.chars.completion += fmt::format("#{}", a + b);
  problem.text.completion += fmt::format("The sum is \\boxed{{{}}}.", a + b);
  return problem;
}

}  // namespace longshot::datasets
