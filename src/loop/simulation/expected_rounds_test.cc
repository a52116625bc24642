#include "loop/simulation/expected_rounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/rng.h"

namespace longshot::loop {
namespace {

TEST(ExpectedRounds, ByHand) {
  const auto one = expected_rounds(8, 0, 10);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].probability, 1);
  EXPECT_EQ(one[0].groups, 8);
  // Two places, each empty after the first round with probability 1/2: a second round takes place
  // in 3 of 4 cases and generates 1 group on average over all, 4/3 if it takes place.
  const auto two = expected_rounds(2, 0.5, 2);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_DOUBLE_EQ(two[1].probability, 0.75);
  EXPECT_DOUBLE_EQ(two[1].groups, 4.0 / 3);
  EXPECT_DOUBLE_EQ(expected_groups(2, 0.5, 2), 1.5);
  // Every group is dropped, so all rounds take place with all groups.
  const auto all = expected_rounds(4, 1, 3);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[2].groups, 4);
  EXPECT_EQ(expected_groups(4, 1, 3), 0);
}

TEST(ExpectedRounds, AgreeWithDraws) {
  constexpr int kGroups = 6, kRounds = 4, kDraws = 200000;
  constexpr double kDropped = 0.4;
  CounterRng rng(5);
  std::vector<double> taken(kRounds, 0), generated(kRounds, 0);
  double kept = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    int missing = kGroups;
    for (int r = 0; r < kRounds && missing > 0; ++r) {
      taken[static_cast<size_t>(r)] += 1;
      generated[static_cast<size_t>(r)] += missing;
      int dropped = 0;
      for (int g = 0; g < missing; ++g) dropped += rng.next_double() < kDropped ? 1 : 0;
      missing = dropped;
    }
    kept += kGroups - missing;
  }
  const auto rounds = expected_rounds(kGroups, kDropped, kRounds);
  ASSERT_EQ(rounds.size(), static_cast<size_t>(kRounds));
  for (size_t r = 0; r < rounds.size(); ++r) {
    EXPECT_NEAR(rounds[r].probability, taken[r] / kDraws, 0.01);
    EXPECT_NEAR(rounds[r].groups, generated[r] / taken[r], 0.02);
  }
  EXPECT_NEAR(expected_groups(kGroups, kDropped, kRounds), kept / kDraws, 0.01);
}

TEST(Lengths, RecordedOnesAreUsedEquallyOften) {
  const Lengths lengths{{3, 5, 900}, 0, 0, 100};
  const std::vector<int> drawn = lengths.draw(7, 1);
  ASSERT_EQ(drawn.size(), 7u);
  std::map<int, int> count;
  for (const int length : drawn) ++count[length];
  EXPECT_EQ(count.size(), 3u);
  EXPECT_GE(count[3], 2);
  EXPECT_GE(count[5], 2);
  EXPECT_GE(count[100], 2);  // cut
  EXPECT_EQ(drawn, lengths.draw(7, 1));
}

TEST(Lengths, HaveTheMeanAndTheSpread) {
  for (const int length : Lengths{{}, 40, 0, 100}.draw(10, 1)) EXPECT_EQ(length, 40);
  const std::vector<int> drawn = Lengths{{}, 1000, 500, 1000000}.draw(100000, 1);
  double sum = 0, squares = 0;
  for (const int length : drawn) {
    sum += length;
    squares += static_cast<double>(length) * length;
  }
  const double mean = sum / 1e5;
  EXPECT_NEAR(mean, 1000, 10);
  EXPECT_NEAR(std::sqrt(squares / 1e5 - mean * mean), 500, 15);
  for (const int length : Lengths{{}, 90, 80, 100}.draw(1000, 1)) {
    EXPECT_GE(length, 1);
    EXPECT_LE(length, 100);
  }
}

}  // namespace
}  // namespace longshot::loop
