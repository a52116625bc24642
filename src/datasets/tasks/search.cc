#include <fmt/format.h>

#include <numeric>

#include "datasets/tasks/tasks.h"

namespace longshot::datasets {
namespace {

// After each miss, a trace gives up with this probability and guesses one of the numbers not tried.
constexpr double kGiveUp = 0.3;
constexpr int64_t kModuli = 4;  // the smallest primes above the largest candidate

struct Equation {
  int64_t a, b, m, t;  // (a x + b) mod m = t

  int64_t value(int64_t x) const { return a * x + b; }
};

bool is_prime(int64_t n) {
  for (int64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return true;
}

int64_t draw_modulus(int64_t candidates, CounterRng& rng) {
  int64_t m = candidates;
  for (int64_t skip = rng.next_int(1, kModuli); skip > 0; skip -= is_prime(m) ? 1 : 0) ++m;
  return m;
}

// `a` is not a multiple of the modulus, a prime above all candidates, so that only x solves the
// equation.
Equation draw_equation(int64_t candidates, int64_t x, CounterRng& rng) {
  Equation e{0, rng.next_int(0, 9), draw_modulus(candidates, rng), 0};
  while (e.a % e.m == 0) e.a = rng.next_int(2, 9);
  e.t = e.value(x) % e.m;
  return e;
}

// Tries the candidates in the given order until one solves the equation or the trace gives up.
void render_trace(const Equation& e, const std::vector<int64_t>& order, CounterRng& rng,
                  Problem& problem) {
  int64_t answer = order.back();
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t x = order[i], value = e.value(x), multiple = value / e.m * e.m,
                  rest = value % e.m;
    problem.chars.completion += fmt::format("{}:{}-{}={}?{}", x, value, multiple, rest, e.t);
    problem.text.completion += fmt::format("Try x = {}: {} * {} + {} = {}, and {} - {} = {}. ", x,
                                           e.a, x, e.b, value, value, multiple, rest);
    if (rest == e.t) {
      problem.chars.completion += "ok";
      problem.text.completion += fmt::format("That is {}.\n", e.t);
      answer = x;
      break;
    }
    problem.chars.completion += "no;";
    problem.text.completion += fmt::format("That is not {}.\n", e.t);
    if (rng.next_double() >= kGiveUp) continue;
    problem.text.completion += "I stop here and guess.\n";
    if (i + 1 < order.size()) answer = order[i + 1 + rng.next_below(order.size() - i - 1)];
    break;
  }
  problem.chars.completion += fmt::format("#{}", answer);
  problem.text.completion += fmt::format("The answer is \\boxed{{{}}}.", answer);
}

}  // namespace

// "7x+3%13=5?" -> "4:31-26=5?5ok#4" or, after misses, "2:17-13=4?5no;4:31-26=5?5ok#4".
//   x:v-k=r?t  the value of a x + b, the multiple of m below it, their difference and the target
//   no; ok     the difference is not, or is, the target
//   #x         the answer, or a guess
Problem make_search(int candidates, CounterRng& rng) {
  const int64_t solution = rng.next_int(1, candidates);
  const Equation e = draw_equation(candidates, solution, rng);
  std::vector<int64_t> order(static_cast<size_t>(candidates));
  std::iota(order.begin(), order.end(), 1);
  rng.shuffle(order);

  Problem problem;
  problem.chars.prompt = fmt::format("{}x+{}%{}={}?", e.a, e.b, e.m, e.t);
  problem.text.prompt = fmt::format(
      "Find the whole number x from 1 to {} for which {} * x + {} leaves the remainder {} when "
      "divided by {}. Try numbers one by one, and put the answer in \\boxed{{}}.",
      candidates, e.a, e.b, e.t, e.m);
  problem.key = problem.chars.prompt;  // has the same solution among more candidates
  problem.ground_truth = std::to_string(solution);
  render_trace(e, order, rng, problem);
  return problem;
}

}  // namespace longshot::datasets
