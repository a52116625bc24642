#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>

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

// Follows one trace. Returns the number of candidates tried, and whether it ended with "ok".
std::pair<int, bool> follow_search(const Problem& p, int candidates) {
  int64_t a = 0, b = 0, m = 0, t = 0;
  EXPECT_EQ(std::sscanf(p.chars.prompt.c_str(), "%ldx+%ld%%%ld=%ld?", &a, &b, &m, &t), 4);
  const auto halves = split(p.chars.completion, '#');
  int tried = 0;
  bool found = false;
  for (const std::string& step : split(halves.at(0), ';')) {
    int64_t x = 0, value = 0, multiple = 0, rest = 0, target = 0;
    char end[3] = {};
    EXPECT_EQ(std::sscanf(step.c_str(), "%ld:%ld-%ld=%ld?%ld%2s", &x, &value, &multiple, &rest,
                          &target, end),
              6);
    EXPECT_FALSE(found) << "continues after ok";
    EXPECT_TRUE(x >= 1 && x <= candidates);
    EXPECT_EQ(value, a * x + b);
    EXPECT_EQ(multiple % m, 0);
    EXPECT_EQ(rest, value % m);
    EXPECT_EQ(value - multiple, rest);
    EXPECT_EQ(target, t);
    found = rest == t;
    EXPECT_EQ(end, found ? std::string("ok") : std::string("no")) << step;
    if (found) EXPECT_EQ(halves.at(1), std::to_string(x));
    ++tried;
  }
  return {tried, found};
}

TEST(Search, TracesAreSoundAndOneNumberSolvesTheEquation) {
  CounterRng rng(6);
  const Task& task = *find_task("search");
  for (int i = 0; i < kSamples; ++i) {
    const int candidates = static_cast<int>(rng.next_int(task.min_level, task.max_level));
    const Problem p = make_search(candidates, rng);
    const std::string used = p.chars.prompt + p.chars.completion;
    ASSERT_EQ(used.find_first_not_of(task.alphabet), std::string::npos) << used;
    int64_t a = 0, b = 0, m = 0, t = 0, solutions = 0;
    ASSERT_EQ(std::sscanf(p.chars.prompt.c_str(), "%ldx+%ld%%%ld=%ld?", &a, &b, &m, &t), 4);
    for (int x = 1; x <= candidates; ++x) {
      if ((a * x + b) % m != t) continue;
      ++solutions;
      ASSERT_EQ(p.ground_truth, std::to_string(x));
    }
    ASSERT_EQ(solutions, 1) << p.chars.prompt;
    follow_search(p, candidates);
    ASSERT_TRUE(
        p.text.completion.ends_with("\\boxed{" + split(p.chars.completion, '#').at(1) + "}."))
        << p.text.completion;
  }
}

// With ten candidates and a stop after a miss with probability 0.3, try k is reached with
// probability 0.7^(k - 1) and hits with 1 / 10: (1 - 0.7^10) / 0.3 / 10 = 0.324 of the traces find
// the solution.
TEST(Search, LongerTracesAreRightMoreOften) {
  CounterRng rng(7);
  int found = 0, right_short = 0, n_short = 0, right_long = 0, n_long = 0;
  for (int i = 0; i < kSamples; ++i) {
    const Problem p = make_search(10, rng);
    const auto [tried, ok] = follow_search(p, 10);
    found += ok;
    const bool right = p.ground_truth == split(p.chars.completion, '#').at(1);
    (tried <= 2 ? right_short : right_long) += right;
    (tried <= 2 ? n_short : n_long) += 1;
  }
  EXPECT_NEAR(static_cast<double>(found) / kSamples, 0.324, 0.015);
  EXPECT_GT(static_cast<double>(right_long) / n_long, static_cast<double>(right_short) / n_short);
}

}  // namespace
}  // namespace longshot::datasets
