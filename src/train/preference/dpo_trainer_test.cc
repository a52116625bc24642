#include "train/preference/dpo_trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "model/format/cost.h"
#include "train/loss/dpo_loss.h"
#include "train/preference/pair_testing.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

BatchOptions options(model::KernelChoice kernels, int micro_batch_tokens = 0) {
  BatchOptions o;
  o.compute.kernels = kernels;
  o.micro_batch_tokens = micro_batch_tokens;
  return o;
}

const DpoOptions kLosses[] = {{DpoLoss::sigmoid, 0.1, 0},
                              {DpoLoss::sigmoid, 0.3, 0.1},
                              {DpoLoss::robust, 0.3, 0.1},
                              {DpoLoss::ipo, 0.1, 0}};

// The mean loss of the rows from log-probabilities of libtorch's passes.
double loss_of(model::Weights& weights, const TestPairs& data, const DpoOptions& dpo) {
  const auto compute = model::make_compute(weights, {.kernels = model::KernelChoice::libtorch});
  PassTotals totals;
  const auto policy = pair_logprobs(*compute, data.pairs, 0, totals);
  const auto count = [](const PairSide& side) { return target_count({side.tokens, side.mask}); };
  double total = 0;
  for (size_t i = 0; i < data.rows.size(); ++i) {
    const DpoRow& row = data.rows[i];
    total += dpo_loss({policy[i].chosen, row.reference.chosen, count(row.pair.chosen)},
                      {policy[i].rejected, row.reference.rejected, count(row.pair.rejected)}, dpo)
                 .loss;
  }
  return total / static_cast<double>(data.rows.size());
}

TEST(DpoTrainer, TheLossIsThatOfTheFormulas) {
  const TestPairs data(24);
  for (const DpoOptions& dpo : kLosses) {
    for (const auto kernels : all_of<model::KernelChoice>()) {
      DpoTrainer trainer(tiny_weights(), optimizer(), dpo, options(kernels, 60), 10);
      const double expected = loss_of(trainer.model().weights(), data, dpo);
      EXPECT_NEAR(trainer.evaluate(data.rows).at("val/loss"), expected, 1e-5 * expected);
      EXPECT_NEAR(trainer.step(data.rows)->at("train/loss"), expected, 1e-5 * expected);
    }
  }
}

// A step keeps no gradient but reports its norm: that of the head, if nothing else is trained.
TEST(DpoTrainer, TheGradientIsTheDerivativeOfTheLoss) {
  const TestPairs data(5);
  for (const DpoOptions& dpo : kLosses) {
    model::Weights weights = tiny_weights(/*tied=*/false);
    ASSERT_TRUE(weights.freeze({"model.*"}).ok());
    const double norm =
        DpoTrainer(weights.clone(), optimizer(), dpo, options(model::KernelChoice::automatic), 10)
            .step(data.rows)
            ->at("train/grad_norm");
    double squared = 0;
    float* head = weights.at("lm_head.weight").detach().mutable_data_ptr<float>();
    constexpr float kStep = 1e-2F;
    for (int64_t e = 0; e < weights.at("lm_head.weight").numel(); ++e) {
      const float value = head[e];
      head[e] = value + kStep;
      const double above = loss_of(weights, data, dpo);
      head[e] = value - kStep;
      const double below = loss_of(weights, data, dpo);
      head[e] = value;
      squared += std::pow((above - below) / (2 * kStep), 2);
    }
    EXPECT_NEAR(std::sqrt(squared), norm, 2e-3 * norm) << name_of(dpo.loss);
  }
}

TEST(DpoTrainer, MicroBatchesChangeAStepByRoundingOnly) {
  const TestPairs data(24);
  const auto norm = [&](model::KernelChoice kernels, int tokens) {
    DpoTrainer trainer(tiny_weights(), optimizer(), {}, options(kernels, tokens), 10);
    return trainer.step(data.rows)->at("train/grad_norm");
  };
  const double whole = norm(model::KernelChoice::automatic, 4096);
  EXPECT_NEAR(norm(model::KernelChoice::automatic, 20), whole, 1e-5 * whole);
  EXPECT_NEAR(norm(model::KernelChoice::libtorch, 50), whole, 1e-4 * whole);
}

TEST(DpoTrainer, ThePreferredResponsesBecomeMoreProbable) {
  TestPairs data(24);
  for (const DpoOptions& dpo : kLosses) {
    DpoTrainer trainer(tiny_weights(), optimizer(), dpo, options(model::KernelChoice::automatic),
                       60);
    const auto reference = trainer.logprobs(data.pairs);
    for (size_t i = 0; i < reference.size(); ++i) data.rows[i].reference = reference[i];
    const Metrics before = trainer.evaluate(data.rows);
    EXPECT_NEAR(before.at("val/rewards/margins"), 0, 1e-5);
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(trainer.step(data.rows).ok());
    const Metrics after = trainer.evaluate(data.rows);
    std::printf("%s: loss %.3f to %.3f, accuracy %.2f, margin %.3f\n", name_of(dpo.loss),
                before.at("val/loss"), after.at("val/loss"), after.at("val/accuracy"),
                after.at("val/rewards/margins"));
    EXPECT_GT(after.at("val/accuracy"), 0.95);
    EXPECT_LT(after.at("val/loss"), before.at("val/loss"));
    EXPECT_NEAR(after.at("val/rewards/margins"),
                after.at("val/rewards/chosen") - after.at("val/rewards/rejected"), 1e-9);
  }
}

TEST(DpoTrainer, AnAdapterIsTrainedAlone) {
  const TestPairs data(12);
  model::Weights weights = tiny_weights();
  const auto modules = model::adapter_modules(weights.config(), {"all-linear"});
  weights.add_adapter(model::new_adapter(weights.config(), {.rank = 4}, *modules, 1));
  DpoTrainer trainer(weights.clone(), optimizer(), {}, options(model::KernelChoice::automatic), 9);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(trainer.step(data.rows).ok());
  for (const auto& [name, tensor] : weights.tensors())
    EXPECT_EQ(trainer.model().weights().at(name).equal(tensor), !tensor.requires_grad()) << name;
}

TEST(DpoTrainer, StateContinuesBitForBit) {
  const TestPairs data(12);
  const auto directory = scratch_directory("dpo_trainer");
  const auto make = [&](model::Weights weights) {
    return std::make_unique<DpoTrainer>(std::move(weights), optimizer(), DpoOptions{},
                                        options(model::KernelChoice::automatic), 10);
  };
  const auto whole = make(tiny_weights());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(whole->step(data.rows).ok());
  ASSERT_TRUE(whole->model().save_state(directory.string()).ok());
  const auto again = make(whole->model().weights().clone());
  ASSERT_TRUE(again->model().load_state(directory.string()).ok());
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(whole->step(data.rows).ok() && again->step(data.rows).ok());
  EXPECT_TRUE(equal(whole->model().weights(), again->model().weights()));
  std::filesystem::remove_all(directory);
}

TEST(DpoTrainer, AStepNeedsAPair) {
  DpoTrainer trainer(tiny_weights(), optimizer(), {}, options(model::KernelChoice::automatic), 1);
  EXPECT_FALSE(trainer.step({}).ok());
  EXPECT_TRUE(trainer.evaluate({}).empty());
}

}  // namespace
}  // namespace longshot::train
