// Training of an adapter whose base is frozen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "base/rng.h"
#include "train/policy/policy_trainer.h"
#include "train/supervised/supervised_trainer.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

model::Weights with_adapter(int rank) {
  model::Weights weights = tiny_weights();
  const auto modules = model::adapter_modules(weights.config(), {"all-linear"});
  weights.add_adapter(model::new_adapter(weights.config(), {.rank = rank}, *modules, 1));
  return weights;
}

struct Rows {
  std::vector<std::vector<data::TokenId>> tokens;
  std::vector<std::vector<uint8_t>> masks;
  std::vector<SupervisedRow> rows;

  Rows() {
    CounterRng rng(1);
    for (int i = 0; i < 8; ++i) {
      std::vector<data::TokenId> row{1};
      while (row.size() < 12) row.push_back(static_cast<data::TokenId>((row.back() * 5 + 3) % 32));
      row[0] = static_cast<data::TokenId>(rng.next_below(32));
      tokens.push_back(row);
      masks.emplace_back(row.size(), uint8_t{1});
    }
    for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({tokens[i], masks[i]});
  }
};

TEST(AdapterTraining, SupervisedStepsMoveTheAdapterAndNothingElse) {
  const Rows data;
  for (const auto kernels : all_of<model::KernelChoice>()) {
    BatchOptions options;
    options.compute.kernels = kernels;
    SupervisedTrainer trainer(with_adapter(4), optimizer(), options, 100);
    const double before = trainer.loss(data.rows);
    for (int step = 0; step < 40; ++step) ASSERT_TRUE(trainer.step(data.rows).ok());
    const double after = trainer.loss(data.rows);
    std::printf("%s: loss %.3f before, %.3f after 40 steps of an adapter of rank 4\n",
                name_of(kernels), before, after);
    EXPECT_LT(after, 0.95 * before);
    const model::Weights untouched = tiny_weights();
    for (const auto& [name, tensor] : untouched.tensors())
      EXPECT_TRUE(trainer.model().weights().at(name).equal(tensor)) << name;
  }
}

TEST(AdapterTraining, APolicyUpdateMovesTheAdapter) {
  PolicyTrainer trainer(with_adapter(2), optimizer(), {}, 100);
  std::vector<data::Group> groups(4);
  for (size_t g = 0; g < groups.size(); ++g) {
    groups[g].prompt.id = "p" + std::to_string(g);
    for (int j = 0; j < 4; ++j) {
      const std::vector<data::TokenId> tokens = {static_cast<data::TokenId>(3 * g + j), 7, 9};
      auto sample = response(tokens, {});
      std::vector<data::TokenId> all = sample.prompt_tokens;
      all.insert(all.end(), tokens.begin(), tokens.end());
      const auto logprobs = logprobs_of(trainer.model(), all);
      sample.logprobs.assign(logprobs.end() - 3, logprobs.end());
      groups[g].samples.push_back(std::move(sample));
      groups[g].verdicts.push_back(score(j % 2));
    }
  }
  const model::Adapter before = trainer.model().weights().adapter("");
  const auto metrics = trainer.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok()) << metrics.status().message();
  EXPECT_LT(metrics->at("training/rollout_probs_diff_max"), 1e-5);
  const model::Adapter after = trainer.model().weights().adapter("");
  EXPECT_NE(before.pairs[0].b, after.pairs[0].b);
}

}  // namespace
}  // namespace longshot::train
