#include "loop/rl/warnings.h"

#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

Metrics healthy() {
  return {
      {"critic/score/max", 1}, {"critic/score/min", 0}, {"critic/groups_without_variance", 0.3}};
}

TEST(Warnings, AHealthyIterationIsQuiet) {
  EXPECT_TRUE(Warnings().check(1, healthy()).empty());
}

TEST(Warnings, CutAnswersAreSaidOnceInAWhile) {
  Warnings w;
  Metrics m = healthy();
  m["response_length/clip_ratio"] = 0.5;
  ASSERT_EQ(w.check(1, m).size(), 1u);
  EXPECT_TRUE(w.check(2, m).empty());
  EXPECT_EQ(w.check(21, m).size(), 1u);
}

TEST(Warnings, FailedJudgementsAreQuoted) {
  Metrics m = healthy();
  m["reward/error_share"] = 0.25;
  const auto texts = Warnings().check(1, m, "python: KeyError: 'x'");
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_NE(texts[0].find("25.0 %"), std::string::npos);
  EXPECT_NE(texts[0].find("KeyError: 'x'"), std::string::npos);
}

TEST(Warnings, ABatchThatIsNotFullIsSaidUnlessSamplesAreUnfinished) {
  Metrics m = healthy();
  m["train/groups_missing"] = 3;
  m["train/num_gen_batches"] = 10;
  const auto texts = Warnings().check(1, m);
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_NE(texts[0].find("3 groups"), std::string::npos) << texts[0];
  EXPECT_NE(texts[0].find("10 rounds"), std::string::npos) << texts[0];
  m["rollout/partial_share"] = 0.1;
  EXPECT_TRUE(Warnings().check(1, m).empty());
}

TEST(Warnings, NoRewardIsSaidAfterThreeIterations) {
  Warnings w;
  const Metrics zero = {{"critic/score/max", 0}, {"critic/score/min", 0}};
  EXPECT_TRUE(w.check(1, zero).empty());
  EXPECT_TRUE(w.check(2, zero).empty());
  ASSERT_EQ(w.check(3, zero).size(), 1u);
  EXPECT_NE(w.check(23, zero).at(0).find("for 4 iterations"), std::string::npos);
}

TEST(Warnings, AnIterationInWhichNothingWasJudgedHasNoRewardToMiss) {
  Warnings w;
  const Metrics zero = {{"critic/score/max", 0}, {"critic/score/min", 0}};
  for (int i = 1; i <= 2; ++i) EXPECT_TRUE(w.check(i, zero).empty());
  for (int i = 3; i <= 9; ++i) EXPECT_TRUE(w.check(i, {}).empty());
  EXPECT_EQ(w.check(10, zero).size(), 1u);
}

TEST(Warnings, FlatGroupsErrorsGapAndSkippedStepsEachHaveAText) {
  Metrics m = healthy();
  m["critic/groups_without_variance"] = 1;
  m["reward/error_share"] = 0.01;
  m["training/rollout_probs_diff_mean"] = 0.2;
  m["actor/skipped_steps"] = 1;
  EXPECT_EQ(Warnings().check(1, m).size(), 4u);
}

TEST(Warnings, AGapThatAFilterOfTheSamplingExplainsIsNoDisagreement) {
  Metrics m = healthy();
  m["training/rollout_probs_diff_mean"] = 0.2;
  EXPECT_EQ(Warnings().check(1, m).size(), 1u);
  EXPECT_TRUE(Warnings().check(1, m, "", /*cut_sampling=*/true).empty());
}

}  // namespace
}  // namespace longshot::loop
