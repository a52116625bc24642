#include <gtest/gtest.h>

#include "reward/reward.h"

namespace longshot::reward {
namespace {

TEST(LengthRewards, MatchTheHandWorkedTable) {
  // min 100, max 300: lambda = 0.5 - (len - 100) / 200.
  //   100 -> 0.5, 150 -> 0.25, 200 -> 0, 250 -> -0.25, 300 -> -0.5;
  // a wrong answer gets min(0, lambda).
  const std::vector<int> lengths = {100, 150, 200, 250, 300, 100, 150, 250, 300};
  const std::vector<bool> correct = {true, true, true, true, true, false, false, false, false};
  const std::vector<double> expected = {0.5, 0.25, 0, -0.25, -0.5, 0, 0, -0.25, -0.5};
  EXPECT_EQ(length_rewards(lengths, correct), expected);
}

TEST(LengthRewards, AreZeroWhenAllLengthsAreEqual) {
  EXPECT_EQ(length_rewards({7, 7, 7}, {true, false, true}), std::vector<double>(3, 0.0));
  EXPECT_EQ(length_rewards({7}, {true}), std::vector<double>(1, 0.0));
  EXPECT_TRUE(length_rewards({}, {}).empty());
}

// Limit 100, buffer 20: 0 up to 80 tokens, then 1/20 more for each token.
TEST(OverlongPenalty, MatchesTheHandWorkedTable) {
  EXPECT_EQ(overlong_penalty(1, 100, 20), 0);
  EXPECT_EQ(overlong_penalty(80, 100, 20), 0);
  EXPECT_EQ(overlong_penalty(81, 100, 20), -0.05);
  EXPECT_EQ(overlong_penalty(95, 100, 20), -0.75);
  EXPECT_EQ(overlong_penalty(100, 100, 20), -1);
  EXPECT_EQ(overlong_penalty(130, 100, 20), -1);
}

}  // namespace
}  // namespace longshot::reward
