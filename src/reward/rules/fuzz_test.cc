// Random inputs with a fixed seed: nothing crashes or hangs, and wrong answers are never accepted.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "base/rng.h"
#include "math/compare/equal.h"
#include "reward/answer/extract.h"
#include "reward/reward.h"

namespace longshot::reward {
namespace {

double cpu_seconds(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

const std::vector<std::string> kPieces = {"\\boxed{",
                                          "}",
                                          "{",
                                          "\\frac",
                                          "\\sqrt",
                                          "\\left(",
                                          "\\right)",
                                          "(",
                                          ")",
                                          "[",
                                          "]",
                                          "1",
                                          "23",
                                          "4.5",
                                          ",",
                                          " ",
                                          "-",
                                          "+",
                                          "*",
                                          "/",
                                          "^",
                                          "_",
                                          "=",
                                          "%",
                                          "\\%",
                                          "$",
                                          "\\text{",
                                          "or",
                                          "and",
                                          " cm",
                                          "x",
                                          "\\pi",
                                          "e9",
                                          "\\",
                                          "\n",
                                          "\xff",
                                          "\u2212",
                                          "answer is ",
                                          "####",
                                          "<answer>",
                                          "</answer>",
                                          "</think>",
                                          "C",
                                          "{,}",
                                          "\\{",
                                          "\\}",
                                          "\\circ",
                                          "&",
                                          "\\\\",
                                          "\\cup",
                                          "\\pm",
                                          "\\le",
                                          "<",
                                          "\\infty",
                                          "|",
                                          ":",
                                          ";",
                                          "!",
                                          "\\sin ",
                                          "\\ln ",
                                          "x^2",
                                          "(a+b)",
                                          "\\begin{pmatrix}",
                                          "\\end{pmatrix}",
                                          "\\setminus",
                                          "\\mathbb{R}",
                                          "i",
                                          "e^",
                                          "\\in ",
                                          "0.\\overline{3}",
                                          "\\sum_{k=1}^n "};

// The number of inputs of a test: LONGSHOT_FUZZ_INPUTS (for long runs) or the default.
int inputs(int by_default) {
  const char* wanted = std::getenv("LONGSHOT_FUZZ_INPUTS");
  return wanted == nullptr ? by_default : std::max(1, std::atoi(wanted));
}

std::string soup(CounterRng& rng, int pieces) {
  std::string out;
  for (int i = 0; i < pieces; ++i) out += kPieces[rng.next_below(kPieces.size())];
  return out;
}

// Any verdict is allowed; the only error allowed is that of the limit of symbolic work.
TEST(Fuzz, EqualityAnswersForAnyPair) {
  const int rounds = inputs(20000);
  CounterRng rng(31337);
  int equal = 0, errors = 0;
  double slowest = 0;
  math::EqualOptions options;
  options.limits.cpu_milliseconds = 200;
  for (int round = 0; round < rounds; ++round) {
    const std::string answer = soup(rng, 1 + static_cast<int>(rng.next_below(12)));
    std::string truth = soup(rng, 1 + static_cast<int>(rng.next_below(12)));
    if (rng.next_below(4) == 0) truth = answer + kPieces[rng.next_below(kPieces.size())];
    options.strict = rng.next_below(4) != 0;
    options.positive = rng.next_below(4) == 0;
    const Stopwatch watch;
    const auto result = math::equal_answers(answer, truth, options);
    slowest = std::max(slowest, watch.seconds());
    equal += result.ok() && *result;
    errors += !result.ok();
    if (!result.ok()) {
      EXPECT_EQ(result.status().code(), StatusCode::exhausted)
          << answer << " ~ " << truth << ": " << result.status().to_string();
    }
  }
  std::printf("%d pairs: %d equal, %d over the limit, the slowest %.0f ms\n", rounds, equal, errors,
              1000 * slowest);
  EXPECT_LT(errors, rounds / 1000 + 1);
}

TEST(Fuzz, EveryRuleSurvivesAnyText) {
  std::vector<std::unique_ptr<Reward>> rewards;
  for (const char* type :
       {"auto", "math", "choice", "countdown", "exact", "reasoning_gym", "repetition"}) {
    auto reward = make_reward({.type = type, .weight = 1, .decides_correct = true, .options = {}});
    ASSERT_TRUE(reward.ok());
    rewards.push_back(std::move(reward).value());
  }
  CounterRng rng(20240607);
  const std::clock_t start = std::clock();  // processor time: other processes may use the machine
  for (int round = 0; round < inputs(3000); ++round) {
    Question question;
    question.completion = soup(rng, static_cast<int>(rng.next_below(60)));
    question.ground_truth = rng.next_below(4) ? "7" : soup(rng, 8);
    question.extra_info = {{"numbers", {1, 23}}, {"target", 24}};
    for (const auto& reward : rewards) {
      const auto score = reward->judge(question, Deadline::never());
      if (score.ok()) {
        EXPECT_TRUE(score->value >= -1 && score->value <= 1);
      }
    }
  }
  EXPECT_LT(cpu_seconds(start), 20.0 * std::max(1, inputs(3000) / 3000));
}

TEST(Fuzz, EqualityIsSymmetric) {
  CounterRng rng(7);
  for (int round = 0; round < 3000; ++round) {
    const std::string text = soup(rng, static_cast<int>(rng.next_below(20)));
    const bool plain = text.find('=') == std::string::npos;  // equations are not symmetric
    if (!plain) continue;
    const auto one = math::equal_answers(text, "1"), other = math::equal_answers("1", text);
    ASSERT_TRUE(one.ok() && other.ok()) << text;
    EXPECT_EQ(*one, *other) << text;
  }
}

// Ways to write the integer n as a final answer.
std::string dressed(CounterRng& rng, long n) {
  const std::string s = std::to_string(n);
  switch (rng.next_below(8)) {
    case 0:
      return "\\boxed{" + s + "}";
    case 1:
      return "The answer is " + s + ".";
    case 2:
      return "#### " + s;
    case 3:
      return "so we get $\\boxed{" + s + "\\text{ cm}}$";
    case 4:
      return "**Answer:** $" + s + "$";
    case 5:
      return "\\boxed{\\frac{" + std::to_string(2 * n) + "}{2}}";
    case 6:
      return "\\boxed{x = " + s + "}";
    default:
      return "\\boxed{" + s + ".0}";
  }
}

TEST(Fuzz, RightIntegersPassAndWrongOnesNever) {
  auto math = make_reward({.type = "math", .weight = 1, .decides_correct = true, .options = {}});
  CounterRng rng(42);
  for (int round = 0; round < 5000; ++round) {
    const long truth = rng.next_int(-2000, 2000);
    long other = rng.next_int(-2000, 2000);
    if (other == truth) ++other;
    Question question;
    question.ground_truth = std::to_string(truth);
    question.completion = dressed(rng, truth);
    EXPECT_EQ((*math)->judge(question, Deadline::never())->value, 1) << question.completion;
    question.completion = dressed(rng, other);
    EXPECT_EQ((*math)->judge(question, Deadline::never())->value, 0)
        << question.completion << " for " << truth;
    question.completion =
        "\\boxed{" + std::to_string(truth) + " \\text{ or } " + std::to_string(other) + "}";
    EXPECT_EQ((*math)->judge(question, Deadline::never())->value, 0) << question.completion;
    question.completion = dressed(rng, truth) + " or " + dressed(rng, other);
    EXPECT_EQ((*math)->judge(question, Deadline::never())->value, 0)
        << question.completion << " for " << truth;
  }
}

}  // namespace
}  // namespace longshot::reward
