// Training with products in bf16 (trainer.dtype) on longshot's own kernels. On a processor without
// AVX512_BF16 they are emulated, so that these tests run everywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>

#include "base/rng.h"
#include "train/policy/policy_trainer.h"
#include "train/supervised/supervised_trainer.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

AlgorithmOptions products(NumberFormat dtype) {
  AlgorithmOptions o;
  o.compute.dtype = dtype;
  return o;
}

// Rows that follow one rule from a random first token; the model is trained on the rule.
struct Rows {
  std::vector<std::vector<data::TokenId>> tokens;
  std::vector<uint8_t> mask = std::vector<uint8_t>(16, 1);
  std::vector<SupervisedRow> rows;

  Rows() {
    CounterRng rng(1);
    for (int i = 0; i < 24; ++i) {
      auto& row = tokens.emplace_back(
          std::vector<data::TokenId>{static_cast<data::TokenId>(rng.next_below(32))});
      while (row.size() < mask.size())
        row.push_back(static_cast<data::TokenId>((row.back() * 5 + 3) % 32));
    }
    for (const auto& row : tokens) rows.push_back({row, mask});
  }
};

struct Setting {
  const char* name;
  std::function<void(model::Weights&)> prepare;
};

TEST(Bf16Training, SupervisedStepsReachTheLossOfF32) {
  const Rows data;
  const auto add_adapter = [](model::Weights& w) {
    const auto modules = model::adapter_modules(w.config(), {"all-linear"});
    w.add_adapter(model::new_adapter(w.config(), {.rank = 3}, *modules, 1));
  };
  const auto freeze = [](model::Weights& w) {
    ASSERT_TRUE(w.freeze({"model.embed_tokens.weight", "*.mlp.up_proj.weight"}).ok());
  };
  for (const Setting& setting : {Setting{"all weights", [](model::Weights&) {}},
                                 {"an adapter", add_adapter},
                                 {"but for frozen weights", freeze}}) {
    const auto train = [&](NumberFormat dtype) {
      model::Weights weights = tiny_weights(false);
      setting.prepare(weights);
      BatchOptions options;
      options.compute.dtype = dtype;
      SupervisedTrainer trainer(std::move(weights), optimizer(), options, 100);
      const double before = trainer.loss(data.rows);
      for (int i = 0; i < 60; ++i) EXPECT_TRUE(trainer.step(data.rows).ok());
      return std::pair(before, trainer.loss(data.rows));
    };
    const auto [before, exact] = train(NumberFormat::f32);
    const auto [rounded_before, rounded] = train(NumberFormat::bf16);
    std::printf("%-24s loss %.4f, after 60 steps %.4f in f32, %.4f with bf16 products\n",
                setting.name, before, exact, rounded);
    EXPECT_NE(rounded, exact);
    EXPECT_NEAR(rounded_before, before, 1e-2);
    EXPECT_LT(exact, 0.95 * before);
    EXPECT_NEAR(rounded, exact, 0.01 * before);
  }
}

// Four problems of four samples each; the scores of the first two problems are all equal.
std::vector<data::Group> make_groups(PolicyTrainer& trainer) {
  CounterRng rng(5);
  std::vector<data::Group> groups(4);
  for (size_t g = 0; g < groups.size(); ++g) {
    groups[g].prompt.id = "p" + std::to_string(g);
    for (int j = 0; j < 4; ++j) {
      std::vector<data::TokenId> tokens;
      for (int64_t t = rng.next_int(3, 12); t > 0; --t)
        tokens.push_back(static_cast<data::TokenId>(rng.next_below(32)));
      auto sample = response(tokens, {});
      std::vector<data::TokenId> all = sample.prompt_tokens;
      all.insert(all.end(), tokens.begin(), tokens.end());
      const auto logprobs = logprobs_of(trainer.model(), all);
      sample.logprobs.assign(logprobs.end() - static_cast<long>(tokens.size()), logprobs.end());
      groups[g].samples.push_back(std::move(sample));
      groups[g].verdicts.push_back(score(g < 2 ? 1 : j % 2));
    }
  }
  return groups;
}

TEST(Bf16Training, ASampleAloneHasTheLogprobsThatItHasWithASharedPrompt) {
  AlgorithmOptions options = products(NumberFormat::bf16);
  options.mini_batches = 1;
  PolicyTrainer trainer(tiny_weights(), optimizer(), options, 10);
  const auto metrics = trainer.fit(make_groups(trainer), {0, 1, 0});
  ASSERT_TRUE(metrics.ok()) << metrics.status().message();
  EXPECT_EQ(metrics->at("training/rollout_probs_diff_max"), 0);
  EXPECT_LT(metrics->at("perf/train_tokens"), metrics->at("perf/unshared_tokens"));
  EXPECT_EQ(metrics->at("actor/flat_samples"), 8);
}

// A rollout in f32 records other log-probabilities than a trainer that rounds. With
// Reference::trainer the first update is nevertheless computed as fast and to the same bits as if
// they were equal.
TEST(Bf16Training, ATrainerReferenceNeedsNoRecordedLogprobs) {
  AlgorithmOptions options = products(NumberFormat::bf16);
  options.reference = Reference::trainer;
  options.mini_batches = 1;
  PolicyTrainer exact(tiny_weights(), optimizer(), options, 10),
      shifted(tiny_weights(), optimizer(), options, 10);
  auto groups = make_groups(exact);
  ASSERT_TRUE(exact.fit(groups, {0, 1, 0}).ok());
  for (auto& group : groups) {
    for (auto& sample : group.samples) {
      for (float& logprob : sample.logprobs) logprob -= 0.05f;
    }
  }
  const auto metrics = shifted.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok()) << metrics.status().message();
  EXPECT_NEAR(metrics->at("training/rollout_probs_diff_max"), 0.05, 1e-5);
  EXPECT_EQ(metrics->at("actor/flat_samples"), 8);
  EXPECT_TRUE(equal(exact.model().weights(), shifted.model().weights()));
  EXPECT_FALSE(equal(exact.model().weights(), tiny_weights()));
}

}  // namespace
}  // namespace longshot::train
