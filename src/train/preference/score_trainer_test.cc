#include "train/preference/score_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "base/rng.h"
#include "model/format/cost.h"
#include "model/reward_head.h"
#include "train/loss/preference_loss.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

model::Weights reward_model() {
  model::ModelConfig config = tiny_llama();
  config.score_head = true;
  return model::Weights::random(config, 5, "cpu");
}

// A sequence is correct if it contains more 7s than 9s. Those of a pair begin with the same tokens.
struct Data {
  static constexpr int kPrompt = 4;
  std::vector<std::vector<data::TokenId>> sequences;
  std::vector<ScoreRow> rows;

  explicit Data(bool pairs, int count = 24) {
    CounterRng rng(11);
    for (int i = 0; i < 2 * count; ++i) {
      std::vector<data::TokenId> s;
      for (int t = 0; t < 5 + i % 9; ++t)
        s.push_back(static_cast<data::TokenId>(10 + rng.next_below(20)));
      if (i % 2 == 1) std::copy_n(sequences.back().begin(), kPrompt, s.begin());
      s.push_back(i % 2 == 0 ? 7 : 9);
      s.push_back(3);
      sequences.push_back(std::move(s));
    }
    for (int i = 0; i < count; ++i) {
      if (pairs) {
        rows.push_back({sequences[2 * i], sequences[2 * i + 1], 0});
      } else {
        rows.push_back({sequences[i], {}, i % 2 == 0 ? 1.0 : 0.0});
      }
    }
  }
};

BatchOptions options(model::KernelChoice kernels, int micro_batch_tokens = 0) {
  BatchOptions o;
  o.compute.kernels = kernels;
  o.micro_batch_tokens = micro_batch_tokens;
  return o;
}

// The mean loss of the rows, from scores of one sequence at a time.
double loss_of(model::Weights& weights, const std::vector<ScoreRow>& rows) {
  const auto compute = model::make_compute(weights, {.kernels = model::KernelChoice::libtorch});
  const auto score = [&](std::span<const data::TokenId> tokens) {
    return model::sequence_scores(*compute, {{tokens.begin(), tokens.end()}}, 1)[0];
  };
  double total = 0;
  for (const ScoreRow& row : rows)
    total += row.rejected.empty() ? label_loss(score(row.tokens), row.label).loss
                                  : pair_loss(score(row.tokens) - score(row.rejected)).loss;
  return total / static_cast<double>(rows.size());
}

TEST(ScoreTrainer, TheLossIsThatOfTheFormulas) {
  for (const bool pairs : {false, true}) {
    const Data data(pairs);
    for (const auto kernels : all_of<model::KernelChoice>()) {
      ScoreTrainer trainer(reward_model(), optimizer(), options(kernels), 10);
      const double expected = loss_of(trainer.model().weights(), data.rows);
      EXPECT_NEAR(trainer.evaluate(data.rows).at("val/loss"), expected, 1e-6);
      EXPECT_NEAR(trainer.step(data.rows)->at("train/loss"), expected, 1e-6);
    }
  }
}

TEST(ScoreTrainer, BothKindsOfRowsAreLearned) {
  for (const bool pairs : {false, true}) {
    const Data data(pairs);
    ScoreTrainer trainer(reward_model(), optimizer(), options(model::KernelChoice::automatic), 60);
    const Metrics before = trainer.evaluate(data.rows);
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(trainer.step(data.rows).ok());
    const Metrics after = trainer.evaluate(data.rows);
    std::printf("%s: loss %.3f to %.3f, accuracy %.2f to %.2f\n", pairs ? "pairs" : "labels",
                before.at("val/loss"), after.at("val/loss"), before.at("val/accuracy"),
                after.at("val/accuracy"));
    EXPECT_LT(after.at("val/loss"), 0.2);
    EXPECT_GT(after.at("val/accuracy"), 0.95);
    EXPECT_GT(after.at("val/margin"), before.at("val/margin"));
  }
}

TEST(ScoreTrainer, MicroBatchesChangeAStepByRoundingOnly) {
  for (const bool pairs : {false, true}) {
    const Data data(pairs);
    ScoreTrainer whole(reward_model(), optimizer(), options(model::KernelChoice::automatic, 4096),
                       10);
    ScoreTrainer cut(reward_model(), optimizer(), options(model::KernelChoice::automatic, 20), 10);
    ScoreTrainer libtorch(reward_model(), optimizer(), options(model::KernelChoice::libtorch, 50),
                          10);
    const double norm = whole.step(data.rows)->at("train/grad_norm");
    EXPECT_NEAR(cut.step(data.rows)->at("train/grad_norm"), norm, 1e-5 * norm);
    EXPECT_NEAR(libtorch.step(data.rows)->at("train/grad_norm"), norm, 1e-4 * norm);
  }
}

TEST(ScoreTrainer, WhatAPairBeginsWithIsComputedOnce) {
  const Data data(true);
  const auto flops = [&](model::KernelChoice kernels, const std::vector<ScoreRow>& rows) {
    ScoreTrainer trainer(reward_model(), optimizer(), options(kernels), 10);
    const Metrics metrics = *trainer.step(rows);
    int64_t tokens = 0;
    for (const ScoreRow& row : rows) tokens += row.length();
    EXPECT_EQ(metrics.at("train/tokens"), static_cast<double>(tokens));
    return metrics.at("perf/train_flops");
  };
  model::Work once;
  for (const ScoreRow& row : data.rows) {
    const auto shared = static_cast<double>(std::ranges::mismatch(row.tokens, row.rejected).in1 -
                                            row.tokens.begin());
    ASSERT_GE(shared, Data::kPrompt);
    once.tokens += shared;
    once.pairs += shared * (shared + 1) / 2;
  }
  const double saved = model::training_flops(reward_model().config(), once);
  EXPECT_NEAR(flops(model::KernelChoice::libtorch, data.rows) -
                  flops(model::KernelChoice::automatic, data.rows),
              saved, 1e-9 * saved);
}

// A step keeps no gradient but reports its norm: that of the head, if nothing else is trained.
TEST(ScoreTrainer, TheHeadsGradientIsTheDerivativeOfTheLoss) {
  const Data data(true, 6);
  model::Weights weights = reward_model();
  ASSERT_TRUE(weights.freeze({"model.*"}).ok());
  const double norm =
      ScoreTrainer(weights.clone(), optimizer(), options(model::KernelChoice::automatic), 10)
          .step(data.rows)
          ->at("train/grad_norm");
  constexpr float kStep = 1e-2F;
  double squared = 0;
  for (int e = 0; e < weights.config().hidden_size; ++e) {
    float* head = weights.at("score.weight").detach().mutable_data_ptr<float>();
    const float value = head[e];
    head[e] = value + kStep;
    const double above = loss_of(weights, data.rows);
    head[e] = value - kStep;
    const double below = loss_of(weights, data.rows);
    head[e] = value;
    squared += std::pow((above - below) / (2 * kStep), 2);
  }
  EXPECT_NEAR(std::sqrt(squared), norm, 1e-3 * norm);
}

TEST(ScoreTrainer, OfAnAdapterThePairsAndTheScoreMove) {
  const Data data(true);
  model::Weights weights = reward_model();
  const auto modules = model::adapter_modules(weights.config(), {"all-linear"});
  weights.add_adapter(model::new_adapter(weights.config(), {.rank = 4}, *modules, 1));
  std::vector<double> norms;
  for (const auto kernels : all_of<model::KernelChoice>()) {
    ScoreTrainer trainer(weights.clone(), optimizer(), options(kernels), 60);
    const double before = trainer.evaluate(data.rows).at("val/loss");
    norms.push_back(trainer.step(data.rows)->at("train/grad_norm"));
    for (int i = 1; i < 60; ++i) ASSERT_TRUE(trainer.step(data.rows).ok());
    const double after = trainer.evaluate(data.rows).at("val/loss");
    std::printf("%s: loss %.3f to %.3f\n", name_of(kernels), before, after);
    EXPECT_LT(after, 0.3 * before);
    for (const auto& [name, tensor] : weights.tensors())
      EXPECT_EQ(trainer.model().weights().at(name).equal(tensor), !tensor.requires_grad()) << name;
  }
  EXPECT_NEAR(norms[0], norms[1], 1e-5 * norms[1]);
}

TEST(ScoreTrainer, StateGoesOnBitForBit) {
  const Data data(true);
  const auto directory = scratch_directory("score_trainer");
  ScoreTrainer whole(reward_model(), optimizer(), options(model::KernelChoice::automatic), 10);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(whole.step(data.rows).ok());
  ASSERT_TRUE(whole.model().save_state(directory.string()).ok());
  ScoreTrainer again(whole.model().weights().clone(), optimizer(),
                     options(model::KernelChoice::automatic), 10);
  ASSERT_TRUE(again.model().load_state(directory.string()).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(whole.step(data.rows).ok() && again.step(data.rows).ok());
  EXPECT_TRUE(equal(whole.model().weights(), again.model().weights()));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace longshot::train
