#include "loop/rl/iteration_report.h"

#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

data::Sample sample(data::FinishReason finish, size_t tokens) {
  data::Sample sample;
  sample.finish = finish;
  sample.tokens.resize(tokens);
  return sample;
}

data::Verdict verdict(double score) {
  data::Verdict verdict;
  verdict.scored = true;
  verdict.score = score;
  verdict.correct = score > 0.5;
  verdict.components = {{"math", score}};
  return verdict;
}

TEST(IterationReport, PartialSamplesCountOnlyAsPartial) {
  const std::vector<data::Sample> samples = {sample(data::FinishReason::stop, 10),
                                             sample(data::FinishReason::length, 20),
                                             sample(data::FinishReason::partial, 90)};
  Metrics metrics;
  SampleReport report;
  report.add(samples, {verdict(1), data::Verdict(), data::Verdict()});
  report.report(metrics);
  EXPECT_EQ(metrics["response_length/mean"], 15);
  EXPECT_EQ(metrics["response_length/clip_ratio"], 0.5);
  EXPECT_EQ(metrics["reward/error_share"], 0.5);
  EXPECT_NEAR(metrics["rollout/partial_share"], 1.0 / 3, 1e-12);
}

TEST(IterationReport, WhatNoSampleHasIsNotReported) {
  Metrics metrics;
  SampleReport report;
  report.report(metrics);
  EXPECT_TRUE(metrics.empty());
  report.add(std::vector{sample(data::FinishReason::partial, 90)}, std::vector{data::Verdict()});
  report.report(metrics);
  EXPECT_EQ(metrics, (Metrics{{"rollout/partial_share", 1}}));
}

TEST(IterationReport, SamplesWithoutAScoreAreLeftOutOfTheRewards) {
  std::vector<data::Group> groups(2);
  groups[0].verdicts = {verdict(1), verdict(0), data::Verdict()};
  groups[1].verdicts = {verdict(1), verdict(1), data::Verdict()};
  Metrics metrics;
  report_groups(groups, metrics);
  EXPECT_EQ(metrics["critic/rewards/mean"], 0.75);
  EXPECT_EQ(metrics["critic/accuracy"], 0.75);
  EXPECT_EQ(metrics["reward/math/mean"], 0.75);
  EXPECT_EQ(metrics["critic/groups_without_variance"], 0.5);
  EXPECT_EQ(metrics["replay/groups_taken"], 2);
}

TEST(IterationReport, WithoutJudgedSamplesThereIsNoReward) {
  std::vector<data::Group> groups(1);
  groups[0].verdicts = {data::Verdict(), data::Verdict()};
  Metrics metrics;
  report_groups(groups, metrics);
  EXPECT_EQ(metrics["replay/groups_taken"], 1);
  for (const char* name : {"critic/score/max", "critic/rewards/mean", "critic/accuracy",
                           "critic/groups_without_variance"})
    EXPECT_FALSE(metrics.contains(name)) << name;
  EXPECT_EQ(headline(metrics), "nothing judged");
}

TEST(IterationReport, StalenessIsThatOfTheOldestTokenOfASample) {
  std::vector<data::Group> groups(2);
  groups[0].samples.resize(3);
  groups[0].samples[0].segments = {{0, 5, 4}, {5, 9, 7}};
  groups[0].samples[1].segments = {{0, 5, 7}};
  groups[1].samples.resize(1);
  groups[1].samples[0].segments = {{0, 5, 6}};
  Metrics metrics;
  report_staleness(groups, 7, metrics);
  EXPECT_EQ(metrics, (Metrics{{"replay/staleness/max", 3}, {"replay/staleness/mean", 4.0 / 3}}));
  metrics.clear();
  report_staleness({data::Group{}}, 7, metrics);
  EXPECT_TRUE(metrics.empty());
}

TEST(IterationReport, TheHeadlineNamesWhatIsUnusual) {
  Metrics metrics = {{"critic/rewards/mean", 0.25},
                     {"critic/accuracy", 0.125},
                     {"rollout/tokens_per_second", 12345}};
  EXPECT_EQ(headline(metrics), "reward 0.250 right 0.125 12,345 tok/s");
  metrics["response_length/mean"] = 20;
  metrics["training/rollout_probs_diff_max"] = 1e-6;
  EXPECT_EQ(headline(metrics), "reward 0.250 right 0.125 length 20.0 gap 1.0e-06 12,345 tok/s");
  metrics["reward/error_share"] = 0;
  EXPECT_EQ(headline(metrics).find("not judged"), std::string::npos);
  metrics["reward/error_share"] = 0.125;
  metrics["val/accuracy"] = 0.5;
  EXPECT_NE(headline(metrics).find("tok/s | 12.5 % not judged | held-out 0.500"),
            std::string::npos);
}

}  // namespace
}  // namespace longshot::loop
