#include "prompts/streaks.h"

#include <gtest/gtest.h>

namespace longshot::prompts {
namespace {

TEST(NextStreak, CountsGroupsOfOneKind) {
  EXPECT_EQ(next_streak(0, false, 1), 1);
  EXPECT_EQ(next_streak(1, false, 1), 2);
  EXPECT_EQ(next_streak(2, true, 0.9), 0);
  EXPECT_EQ(next_streak(0, false, 0), -1);
  EXPECT_EQ(next_streak(-4, false, 0.2), -5);
  EXPECT_EQ(next_streak(-4, true, 0.2), 0);
}

TEST(NextStreak, TheOtherKindBeginsANewOne) {
  EXPECT_EQ(next_streak(5, false, 0), -1);
  EXPECT_EQ(next_streak(-5, false, 1), 1);
}

TEST(NextStreak, AMeanOfOneHalfIsHard) {
  EXPECT_EQ(next_streak(0, false, 0.5), -1);
  EXPECT_EQ(next_streak(0, false, 0.51), 1);
}

TEST(Exploration, ProbabilitiesOfAHandWorkedTable) {
  const struct {
    double p_easy, p_hard;
    Streak streak;
    double probability;
  } table[] = {
      {0.5, 0.5, 0, 1},      {0.5, 0.5, 1, 0.5},     {0.5, 0.5, 2, 0.25},   {0.5, 0.5, 3, 0.125},
      {0.5, 0.5, 4, 0.1},  // 0.0625 is below the floor of 0.1
      {0.5, 0.5, 90, 0.1},   {0.5, 0.5, -1, 0.5},    {0.5, 0.5, -2, 0.4},  // floor of 0.4
      {0.9, 0.8, 3, 0.729},  {0.9, 0.8, -4, 0.4096}, {0.9, 0.8, -5, 0.4},   {0.01, 0.01, 1, 0.1},
      {0.01, 0.01, -1, 0.4}, {0.01, 0.01, 0, 1},     {0.99, 0.99, 1, 0.99},
  };
  for (const auto& row : table) {
    const Exploration exploration{row.p_easy, row.p_hard};
    EXPECT_NEAR(exploration.probability(row.streak), row.probability, 1e-12)
        << row.p_easy << " " << row.p_hard << " " << row.streak;
  }
}

TEST(Exploration, TheControllerMovesAgainstTheSharesOfAHandWorkedTable) {
  const struct {
    Outcomes outcomes;
    double p_easy, p_hard;
  } table[] = {
      {{100, 9, 17}, 0.49, 0.49},  // both shares are above 8.3 % and 16.7 %
      {{100, 8, 16}, 0.51, 0.51},  // both are below
      {{100, 8, 17}, 0.51, 0.49}, {{1000, 83, 167}, 0.49, 0.49},  // exactly the targets
      {{4, 0, 0}, 0.51, 0.51},    {{0, 0, 0}, 0.5, 0.5},          // nothing was seen
  };
  for (const auto& row : table) {
    Exploration exploration;
    exploration.adjust(row.outcomes);
    EXPECT_NEAR(exploration.p_easy, row.p_easy, 1e-12);
    EXPECT_NEAR(exploration.p_hard, row.p_hard, 1e-12);
  }
}

TEST(Exploration, StaysWithinItsBounds) {
  Exploration low, high;
  for (int i = 0; i < 60; ++i) {
    low.adjust({10, 5, 5});
    high.adjust({10, 0, 0});
  }
  EXPECT_EQ(low.p_easy, 0.01);
  EXPECT_EQ(low.p_hard, 0.01);
  EXPECT_EQ(high.p_easy, 0.99);
  EXPECT_EQ(high.p_hard, 0.99);
}

TEST(Outcomes, AreCountedByKind) {
  Outcomes outcomes;
  outcomes.add(true, 0.9);
  outcomes.add(false, 1);
  outcomes.add(false, 0);
  outcomes.add(false, 0);
  EXPECT_DOUBLE_EQ(outcomes.easy_share(), 0.25);
  EXPECT_DOUBLE_EQ(outcomes.hard_share(), 0.5);
  EXPECT_EQ(Outcomes().easy_share(), 0);
}

}  // namespace
}  // namespace longshot::prompts
