#include "train/supervised/supervised_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/rng.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

using testing::HasSubstr;

struct Rows {
  std::vector<std::vector<data::TokenId>> tokens;
  std::vector<std::vector<uint8_t>> masks;

  std::vector<SupervisedRow> view() const {
    std::vector<SupervisedRow> rows;
    for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({tokens[i], masks[i]});
    return rows;
  }
};

Rows random_rows(int count, int length, uint64_t seed) {
  CounterRng rng(seed);
  Rows rows;
  for (int i = 0; i < count; ++i) {
    auto& tokens = rows.tokens.emplace_back();
    auto& mask = rows.masks.emplace_back();
    for (int t = 0; t < length; ++t) {
      tokens.push_back(static_cast<data::TokenId>(rng.next_below(32)));
      mask.push_back(t >= 4);
    }
  }
  return rows;
}

TEST(SupervisedTrainer, LossIsTheMeanOverMaskedTokens) {
  SupervisedTrainer trainer(tiny_weights(), optimizer(), {}, 10);
  auto rows = random_rows(5, 9, 2);
  rows.masks[1].assign(9, 0);  // a row without loss
  rows.masks[2].assign(9, 1);  // the first token has no predictor
  const auto logprobs = model::sequence_logprobs(trainer.model().compute(), rows.tokens, 1.0);
  double total = 0;
  int count = 0;
  for (size_t i = 0; i < rows.tokens.size(); ++i) {
    for (size_t t = 1; t < 9; ++t) {
      if (!rows.masks[i][t]) continue;
      total -= logprobs[i][t - 1];
      ++count;
    }
  }
  SupervisedTrainer one_row(tiny_weights(), optimizer(), {.micro_batch_tokens = 8}, 10);
  EXPECT_NEAR(trainer.loss(rows.view()), total / count, 1e-6);
  EXPECT_NEAR(one_row.loss(rows.view()), total / count, 1e-6);
  const auto metrics = trainer.step(rows.view());
  ASSERT_TRUE(metrics.ok());
  EXPECT_NEAR(metrics->at("train/loss"), total / count, 1e-6);
  EXPECT_EQ(metrics->at("train/tokens"), count);
}

TEST(SupervisedTrainer, StepsLowerTheLoss) {
  SupervisedTrainer trainer(tiny_weights(), optimizer(), {}, 100);
  const auto rows = random_rows(8, 12, 2);
  const double before = trainer.loss(rows.view());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(trainer.step(rows.view()).ok());
  EXPECT_LT(trainer.loss(rows.view()), before - 1);
  EXPECT_EQ(trainer.model().steps(), 50);
}

TEST(SupervisedTrainer, ABatchWithoutLossIsAnError) {
  SupervisedTrainer trainer(tiny_weights(), optimizer(), {}, 10);
  auto rows = random_rows(2, 6, 2);
  for (auto& mask : rows.masks) mask.assign(6, 0);
  EXPECT_THAT(trainer.step(rows.view()).status().message(), HasSubstr("loss mask"));
  EXPECT_TRUE(std::isnan(trainer.loss(rows.view())));
}

// ---- state ----

TEST(SupervisedTrainer, ARestoredTrainerContinuesBitForBit) {
  const auto directory = scratch_directory("longshot_trainer_state_test");
  std::filesystem::remove_all(directory);
  OptimizerOptions options = optimizer();
  options.schedule = Schedule::cosine;
  SupervisedTrainer original(tiny_weights(), options, {}, 10);
  const auto rows = random_rows(8, 12, 2);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(original.step(rows.view()).ok());
  const auto saved = original.model().save_state(directory.string());
  ASSERT_TRUE(saved.ok()) << saved.to_string();

  SupervisedTrainer restored(original.model().weights().clone(), options, {}, 10);
  const auto loaded = restored.model().load_state(directory.string());
  ASSERT_TRUE(loaded.ok()) << loaded.to_string();
  EXPECT_EQ(restored.model().steps(), 3);
  SupervisedTrainer forgetful(original.model().weights().clone(), options, {}, 10);
  for (SupervisedTrainer* t : {&original, &restored, &forgetful})
    ASSERT_TRUE(t->step(rows.view()).ok());
  EXPECT_TRUE(equal(original.model().weights(), restored.model().weights()));
  EXPECT_FALSE(equal(original.model().weights(), forgetful.model().weights()));

  SupervisedTrainer other(tiny_weights(/*tied=*/false), options, {}, 10);
  const auto wrong = other.model().load_state(directory.string());
  EXPECT_THAT(wrong.message(), HasSubstr("another model"));
  EXPECT_FALSE(other.model().load_state((directory / "absent").string()).ok());
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace longshot::train
