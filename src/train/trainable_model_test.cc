#include "train/trainable_model.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "train/testing.h"

namespace longshot::train {
namespace {

Result<Metrics> step_of_ones(TrainableModel& model, double factor = 1) {
  return model.step([&] {
    const at::NoGradGuard no_grad;
    for (auto& named : model.weights().tensors())
      named.tensor.mutable_grad() = at::ones_like(named.tensor).mul(factor);
    return TrainableModel::StepWork{.flops = 5e9, .tokens = 7};
  });
}

TEST(TrainableModel, AStepMovesTheWeightsAndReportsItsCost) {
  TrainableModel model(tiny_weights(), {.lr = 1e-2}, {}, 10);
  const auto metrics = step_of_ones(model);
  ASSERT_TRUE(metrics.ok()) << metrics.status().message();
  EXPECT_EQ(model.steps(), 1);
  EXPECT_FALSE(equal(model.weights(), tiny_weights()));
  EXPECT_EQ(metrics->at("perf/train_flops"), 5e9);
  EXPECT_GT(metrics->at("perf/train_tokens_per_second"), 0);
  EXPECT_EQ(metrics->at("memory/moments_gb"), 2 * metrics->at("memory/weights_gb"));
  EXPECT_EQ(metrics->count("perf/mfu/actor"), 0u);
  model.measure_peak();
  EXPECT_GT(step_of_ones(model)->at("perf/mfu/actor"), 0);
}

TEST(TrainableModel, ASkippedStepHasNoGradientNorm) {
  TrainableModel model(tiny_weights(), {.lr = 1e-2}, {}, 10);
  EXPECT_GT(step_of_ones(model)->at("train/grad_norm"), 0);
  const Metrics metrics = *step_of_ones(model, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(metrics.at("train/skipped_steps"), 1);
  EXPECT_FALSE(metrics.contains("train/grad_norm"));
}

TEST(TrainableModel, AnUpdateThatFailsOrThrowsIsTakenBack) {
  for (const bool moments : {false, true}) {
    TrainableModel model(tiny_weights(), {.lr = 1e-2}, {}, 10);
    ASSERT_TRUE(step_of_ones(model).ok());
    const model::Weights before = model.weights().clone();
    const auto fails = [&]() -> Result<Metrics> {
      EXPECT_TRUE(step_of_ones(model).ok());
      EXPECT_FALSE(equal(model.weights(), before));
      return internal_error("half done");
    };
    const auto throws = [&]() -> Result<Metrics> {
      EXPECT_FALSE(fails().ok());
      throw std::runtime_error("half done");
    };
    EXPECT_EQ(model.undoable(moments, fails).status().message(), "half done");
    EXPECT_EQ(model.steps(), 1);
    EXPECT_TRUE(equal(model.weights(), before));
    EXPECT_THROW((void)model.undoable(moments, throws), std::runtime_error);
    EXPECT_EQ(model.steps(), 1);
    EXPECT_TRUE(equal(model.weights(), before));
  }
}

}  // namespace
}  // namespace longshot::train
