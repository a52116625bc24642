#include <fmt/format.h>

#include "datasets/tasks/tasks.h"

namespace longshot::datasets {

// "7+5-3+9=" -> "7+5=12;12-3=9;9+9=18;#18": one step for each operation. Running totals are never
// negative.
Problem make_chain(int operations, CounterRng& rng) {
  int64_t total = rng.next_int(1, 9);
  Problem problem;
  problem.chars.prompt = std::to_string(total);
  std::string spaced = problem.chars.prompt;
  for (int i = 0; i < operations; ++i) {
    const int64_t term = rng.next_int(1, 9);
    const bool add = rng.next_below(2) == 0 || term > total;
    const char sign = add ? '+' : '-';
    const int64_t next = add ? total + term : total - term;
    problem.chars.prompt += fmt::format("{}{}", sign, term);
    spaced += fmt::format(" {} {}", sign, term);
    problem.chars.completion += fmt::format("{}{}{}={};", total, sign, term, next);
    problem.text.completion += fmt::format("{} {} {} = {}.\n", total, sign, term, next);
    total = next;
  }
  problem.key = problem.chars.prompt;
  problem.ground_truth = std::to_string(total);
  problem.chars.prompt += '=';
  problem.chars.completion += fmt::format("#{}", total);
  problem.text.prompt = fmt::format(
      "Calculate {} from left to right, one step "
      "at a time, and put the final answer in "
      "\\boxed{{}}.",
      spaced);
  problem.text.completion += fmt::format("The result is \\boxed{{{}}}.", total);
  return problem;
}

}  // namespace longshot::datasets
