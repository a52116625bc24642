#include "train/advantage/advantage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace longshot::train {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

GroupValues run(const std::string& rule, const GroupValues& rewards,
                AdvantageOptions options = {}) {
  const AdvantageRule* found = find_advantage_rule(rule);
  EXPECT_NE(found, nullptr) << rule;
  return found->compute(rewards, options);
}

auto near(double v) {
  return DoubleNear(v, 1e-9);
}

TEST(Advantage, MeanSubtractsTheGroupMean) {
  const auto a = run("mean", {{1, 0, 0, 1}, {1, 1, 0, 1}});
  EXPECT_THAT(a[0], ElementsAre(near(.5), near(-.5), near(-.5), near(.5)));
  EXPECT_THAT(a[1], ElementsAre(near(.25), near(.25), near(-.75), near(.25)));
}

TEST(Advantage, MeanWithStdDividesByTheSampleDeviation) {
  const auto a = run("mean", {{1, 0}}, {.tau = 1, .divide_by_std = true});
  const double scaled = .5 / (std::sqrt(.5) + 1e-6);  // ddof = 1
  EXPECT_THAT(a[0], ElementsAre(near(scaled), near(-scaled)));
}

TEST(Advantage, LogzSubtractsTheSoftMaximum) {
  // tau = 1: log((e + 1) / 2) = 0.6201145070
  const auto a = run("logz", {{1, 0}}, {.tau = 1});
  EXPECT_THAT(a[0], ElementsAre(near(1 - 0.62011450695827752), near(-0.62011450695827752)));
}

TEST(Advantage, LogMeanExpDoesNotOverflowAndHasTheRightLimits) {
  EXPECT_NEAR(log_mean_exp({1, 0, 0, 0}, 1e-4), 1 - 1e-4 * std::log(4.0), 1e-12);
  EXPECT_NEAR(log_mean_exp({1, 0, 0, 0}, 1e9), 0.25, 1e-6);
  EXPECT_NEAR(log_mean_exp({-5000, -5001}, 1e-3), -5000 - 1e-3 * std::log(2.0), 1e-9);
  EXPECT_DOUBLE_EQ(log_mean_exp({0.3, 0.3, 0.3}, 0.02), 0.3);
}

TEST(Advantage, RlooComparesWithTheOtherSamples) {
  const auto a = run("rloo", {{1, 0, 0.5}});
  EXPECT_THAT(a[0], ElementsAre(near(1 - .25), near(-.75), near(0)));
}

AlgorithmOptions with(Algorithm name, Normalize normalize = Normalize::automatic) {
  AlgorithmOptions a;
  a.name = name;
  a.normalize = normalize;
  return a;
}

TEST(Advantage, GrpoStandardizesUnlessNormalizeSaysOtherwise) {
  const double std = std::sqrt(1.0 / 3.0) + 1e-6;
  for (const Algorithm name : {Algorithm::grpo, Algorithm::gspo, Algorithm::cispo}) {
    for (const Normalize normalize : {Normalize::automatic, Normalize::deviation}) {
      const auto a = compute_advantages(with(name, normalize), {{1, 0, 0, 1}});
      EXPECT_THAT(a[0],
                  ElementsAre(near(.5 / std), near(-.5 / std), near(-.5 / std), near(.5 / std)));
    }
    // Dr. GRPO (2503.20783)
    const auto plain = compute_advantages(with(name, Normalize::none), {{1, 0, 0, 1}});
    EXPECT_THAT(plain[0], ElementsAre(near(.5), near(-.5), near(-.5), near(.5)));
  }
}

// REINFORCE++ with a baseline: the group means are 1/2 and 1/4, so the differences are 1/2, -1/2,
// 1/2, -1/2 and 3/4, -1/4, -1/4, -1/4 with a sum of squares of 1 + 3/4 and a deviation of
// sqrt(1.75 / 7) = 1/2.
TEST(Advantage, BatchDividesByTheDeviationOfAllAdvantages) {
  const auto a =
      compute_advantages(with(Algorithm::grpo, Normalize::batch), {{1, 0, 1, 0}, {1, 0, 0, 0}});
  const double std = 0.5 + 1e-6;
  EXPECT_THAT(a[0], ElementsAre(near(.5 / std), near(-.5 / std), near(.5 / std), near(-.5 / std)));
  EXPECT_THAT(a[1],
              ElementsAre(near(.75 / std), near(-.25 / std), near(-.25 / std), near(-.25 / std)));
  const auto b = compute_advantages(with(Algorithm::grpo, Normalize::batch), {{1, 0}, {1, 1}});
  EXPECT_THAT(b[1], testing::Each(0.0));  // a group without variance
}

TEST(Advantage, ReinforceSubtractsTheBatchMean) {
  const auto a = run("reinforce", {{1, 1}, {0, 0}});
  EXPECT_THAT(a[0], ElementsAre(near(.5), near(.5)));
  EXPECT_THAT(a[1], ElementsAre(near(-.5), near(-.5)));
}

TEST(Advantage, RestKeepsOnlyTheBestPositiveSamples) {
  const auto a = run("rest", {{1, 0, 1}, {0, 0}, {0.5, 0.7, -1}});
  EXPECT_THAT(a[0], ElementsAre(1, 0, 1));
  EXPECT_THAT(a[1], ElementsAre(0, 0));
  EXPECT_THAT(a[2], ElementsAre(0, 1, 0));
}

// Exactly 0, not 1e-17: AdamW scales any gradient up to a full step.
TEST(Advantage, EqualRewardsHaveExactlyNoAdvantage) {
  for (const char* rule : {"mean", "logz", "rloo", "reinforce"}) {
    for (const bool divide_by_std : {false, true}) {
      for (const double value : {0.1, 0.3, 1.0, 0.0, -0.7, 1e-30, 1e300, 1.0 / 3.0}) {
        for (const size_t k : {1, 2, 3, 7, 8, 64}) {
          const auto a = run(rule, {std::vector<double>(k, value)},
                             {.tau = 0.02, .divide_by_std = divide_by_std});
          EXPECT_THAT(a[0], testing::Each(0.0)) << rule << " " << k << " times " << value;
        }
      }
    }
  }
}

// The rewards are weighted sums of the same parts in different orders.
TEST(Advantage, RewardsThatDifferByRoundingAreEqual) {
  const std::vector<double> group = {0.1 + 0.2, 0.3, 0.1 * 3, 0.6 - 0.3};
  ASSERT_NE(group[0], group[1]);
  EXPECT_TRUE(equal_rewards(group));
  EXPECT_FALSE(equal_rewards({0.3, 0.3 + 1e-9}));
  EXPECT_TRUE(equal_rewards({}));
  for (const char* rule : {"mean", "logz", "rloo", "reinforce"}) {
    EXPECT_THAT(run(rule, {group}, {.tau = 1})[0], testing::Each(0.0)) << rule;
  }
  EXPECT_THAT(run("rest", {group})[0], testing::Each(1.0));  // all of them are the best
}

TEST(Advantage, ASingleSampleHasNoAdvantage) {
  for (const char* rule : {"mean", "logz", "rloo"}) {
    EXPECT_THAT(run(rule, {{1}})[0], ElementsAre(near(0))) << rule;
  }
}

TEST(Advantage, OptionsWithoutAMeaningAreErrorsThatNameTheKey) {
  AlgorithmOptions a;
  EXPECT_TRUE(check_advantage_options(a).ok());
  a.normalize = Normalize::deviation;
  EXPECT_TRUE(check_advantage_options(a).ok());
  a.baseline = Baseline::logz;
  EXPECT_THAT(check_advantage_options(a).message(), HasSubstr("algorithm.normalize"));
  a.name = Algorithm::grpo;
  EXPECT_TRUE(check_advantage_options(a).ok());
  a.name = Algorithm::rest;
  EXPECT_THAT(check_advantage_options(a).message(), HasSubstr("algorithm.normalize"));
  a.normalize = Normalize::batch;
  EXPECT_THAT(check_advantage_options(a).message(), HasSubstr("\"batch\""));
}

TEST(Advantage, EveryAlgorithmHasARule) {
  for (const Algorithm name : all_of<Algorithm>()) {
    AlgorithmOptions a;
    a.name = name;
    const GroupValues result = compute_advantages(a, {{1, 0}, {0, 0}});
    EXPECT_GT(result[0][0], result[0][1]) << name_of(name);
  }
}

}  // namespace
}  // namespace longshot::train
