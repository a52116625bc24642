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

}  // namespace
}  // namespace longshot::reward
