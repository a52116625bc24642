#include "train/optimizer/schedule.h"

#include <gtest/gtest.h>

namespace longshot::train {
namespace {

OptimizerOptions options(Schedule schedule) {
  OptimizerOptions o;
  o.lr = 1.0;
  o.schedule = schedule;
  o.warmup_steps = 4;
  o.min_lr_ratio = 0.1;
  return o;
}

TEST(Schedule, WarmupRisesLinearlyToTheFullRate) {
  for (const Schedule schedule : all_of<Schedule>()) {
    EXPECT_DOUBLE_EQ(learning_rate(options(schedule), 0, 105), 0.25) << name_of(schedule);
    EXPECT_DOUBLE_EQ(learning_rate(options(schedule), 3, 105), 1.0) << name_of(schedule);
    EXPECT_DOUBLE_EQ(learning_rate(options(schedule), 4, 105), 1.0) << name_of(schedule);
  }
}

TEST(Schedule, DecaysToTheMinimumAtTheLastStepAndStaysThere) {
  for (const Schedule schedule : {Schedule::linear, Schedule::cosine}) {
    EXPECT_NEAR(learning_rate(options(schedule), 54, 105), 0.55, 1e-12)
        << name_of(schedule);  // half way
    EXPECT_NEAR(learning_rate(options(schedule), 104, 105), 0.1, 1e-12) << name_of(schedule);
    EXPECT_NEAR(learning_rate(options(schedule), 500, 105), 0.1, 1e-12) << name_of(schedule);
  }
  EXPECT_NEAR(learning_rate(options(Schedule::cosine), 29, 105), 0.1 + 0.9 * 0.8535533905932737,
              1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(options(Schedule::constant), 500, 105), 1.0);
}

TEST(Schedule, AWarmupThatDoesNotEndIsAProblem) {
  OptimizerOptions o = options(Schedule::cosine);
  o.warmup_steps = 100;
  EXPECT_NE(warmup_problem(o, 4).find("optim.lr is never reached"), std::string::npos);
  EXPECT_NE(warmup_problem(o, 100).find("only by the last one"), std::string::npos);
  EXPECT_EQ(warmup_problem(o, 101), "");
  EXPECT_EQ(warmup_problem(o, 0), "");
}

TEST(Schedule, WithoutAnEndTheRateStays) {
  EXPECT_DOUBLE_EQ(learning_rate(options(Schedule::cosine), 1000, 0), 1.0);
}

}  // namespace
}  // namespace longshot::train
