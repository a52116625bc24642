#include "train/optimizer/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace longshot::train {
namespace {

using testing::HasSubstr;

OptimizerOptions options(const std::string& schedule) {
  OptimizerOptions o;
  o.lr = 1.0;
  o.schedule = schedule;
  o.warmup_steps = 4;
  o.min_lr_ratio = 0.1;
  return o;
}

TEST(Schedule, WarmupRisesLinearlyToTheFullRate) {
  for (const char* name : {"constant", "linear", "cosine"}) {
    EXPECT_DOUBLE_EQ(learning_rate(options(name), 0, 105), 0.25) << name;
    EXPECT_DOUBLE_EQ(learning_rate(options(name), 3, 105), 1.0) << name;
    EXPECT_DOUBLE_EQ(learning_rate(options(name), 4, 105), 1.0) << name;
  }
}

TEST(Schedule, DecaysToTheMinimumAtTheLastStepAndStaysThere) {
  for (const char* name : {"linear", "cosine"}) {
    EXPECT_NEAR(learning_rate(options(name), 54, 105), 0.55, 1e-12) << name;  // half way
    EXPECT_NEAR(learning_rate(options(name), 104, 105), 0.1, 1e-12) << name;
    EXPECT_NEAR(learning_rate(options(name), 500, 105), 0.1, 1e-12) << name;
  }
  EXPECT_NEAR(learning_rate(options("cosine"), 29, 105), 0.1 + 0.9 * 0.8535533905932737, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(options("constant"), 500, 105), 1.0);
}

TEST(Schedule, WithoutAnEndTheRateStays) {
  EXPECT_DOUBLE_EQ(learning_rate(options("cosine"), 1000, 0), 1.0);
}

TEST(Schedule, OptionsOutOfRangeAreErrorsThatNameTheKey) {
  const auto message = [](auto change) {
    OptimizerOptions o;
    change(o);
    return check_optimizer_options(o).message();
  };
  EXPECT_TRUE(check_optimizer_options({}).ok());
  EXPECT_THAT(message([](auto& o) { o.lr = std::numeric_limits<double>::quiet_NaN(); }),
              HasSubstr("optim.lr"));
  EXPECT_THAT(message([](auto& o) { o.beta1 = 1; }), HasSubstr("optim.beta1"));
  EXPECT_THAT(message([](auto& o) { o.beta2 = -1; }), HasSubstr("optim.beta2"));
  EXPECT_THAT(message([](auto& o) { o.eps = 0; }), HasSubstr("optim.eps"));
  EXPECT_THAT(message([](auto& o) { o.weight_decay = -1; }), HasSubstr("optim.weight_decay"));
  EXPECT_THAT(message([](auto& o) { o.clip_grad = -1; }), HasSubstr("optim.clip_grad"));
  EXPECT_THAT(message([](auto& o) { o.warmup_steps = -1; }), HasSubstr("optim.warmup_steps"));
  EXPECT_THAT(message([](auto& o) { o.min_lr_ratio = 2; }), HasSubstr("optim.min_lr_ratio"));
  EXPECT_THAT(message([](auto& o) { o.schedule = "step"; }), HasSubstr("optim.schedule"));
}

}  // namespace
}  // namespace longshot::train
