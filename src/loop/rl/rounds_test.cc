#include "loop/rl/rounds.h"

#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

data::Group group(const std::vector<double>& scores, int failed = 0) {
  data::Group group;
  for (const double score : scores) {
    group.verdicts.emplace_back().scored = true;
    group.verdicts.back().score = score;
  }
  for (int i = 0; i < failed; ++i) group.verdicts.emplace_back();
  group.samples.resize(group.verdicts.size());
  return group;
}

config::TrainConfig filtered(int batch, int rounds) {
  config::TrainConfig config;
  config.data.train_batch_size = batch;
  config.filter_groups = {true, rounds};
  return config;
}

TEST(Rounds, GroupsWithoutVarianceAreDropped) {
  Rounds rounds(filtered(4, 10));
  rounds.add_rollout({});
  rounds.add_groups({group({0, 1}), group({1, 1}), group({0, 0}), group({0.3, 0.3}, 1)});
  EXPECT_EQ(rounds.groups().size(), 1u);
  EXPECT_EQ(rounds.missing(), 3u);
  EXPECT_TRUE(rounds.wants_another());
  rounds.add_rollout({});
  // Nothing to compare: no sample could be judged, or one.
  rounds.add_groups({group({}, 2), group({1}, 1), group({1, 1, 1 + 1e-9})});
  rounds.add_groups({group({0.5, 0.25}), group({0, 1})});
  EXPECT_FALSE(rounds.wants_another());
  Metrics metrics;
  rounds.report(metrics);
  EXPECT_EQ(metrics["train/num_gen_batches"], 2);
  EXPECT_EQ(metrics["train/groups_dropped"], 5);
  EXPECT_EQ(metrics["train/groups_missing"], 0);
  EXPECT_NEAR(metrics["train/zero_variance_share"], 5.0 / 9, 1e-12);
  EXPECT_EQ(metrics["critic/groups_without_variance"], 0);
  EXPECT_EQ(metrics["replay/groups_taken"], 4);
}

TEST(Rounds, ReusedGroupsAreAPartOfTheBatchAndAreNotFiltered) {
  config::TrainConfig config = filtered(3, 2);
  config.replay.ratio = 0.4;
  Rounds rounds(config);
  rounds.add_trained({group({0, 1})});
  EXPECT_EQ(rounds.missing(), 2u);
  rounds.add_groups({group({0, 1}), group({1, 1})});
  Metrics metrics;
  rounds.report(metrics);
  EXPECT_EQ(metrics["replay/reused"], 1);
  EXPECT_EQ(metrics["replay/groups_taken"], 2);
  EXPECT_EQ(metrics["train/groups_dropped"], 1);
}

TEST(Rounds, WithoutAFilterOneRoundKeepsEverything) {
  config::TrainConfig config;
  config.data.train_batch_size = 3;
  Rounds rounds(config);
  rounds.add_rollout({});
  rounds.add_groups({group({1, 1}), group({0, 1})});
  EXPECT_EQ(rounds.groups().size(), 2u);
  EXPECT_FALSE(rounds.wants_another());
  Metrics metrics;
  rounds.report(metrics);
  EXPECT_EQ(metrics["critic/groups_without_variance"], 0.5);
  EXPECT_FALSE(metrics.contains("train/num_gen_batches"));
}

TEST(Rounds, TheMostRoundsEndAnIterationWithoutAnyGroup) {
  Rounds rounds(filtered(2, 3));
  for (int round = 1; round <= 3; ++round) {
    rounds.add_rollout({});
    rounds.add_groups({group({1, 1}), group({0, 0})});
    EXPECT_EQ(rounds.wants_another(), round < 3);
  }
  Metrics metrics;
  rounds.report(metrics);
  EXPECT_EQ(metrics["train/groups_missing"], 2);
  EXPECT_EQ(metrics["train/zero_variance_share"], 1);
  EXPECT_FALSE(metrics.contains("critic/groups_without_variance"));
}

TEST(Rounds, WithoutAGroupThereIsNoShare) {
  Rounds rounds(filtered(2, 3));
  rounds.add_rollout({});
  Metrics metrics;
  rounds.report(metrics);
  EXPECT_EQ(metrics.at("train/groups_missing"), 2);
  EXPECT_FALSE(metrics.contains("train/zero_variance_share"));
}

TEST(Rounds, ShareTheTokenBudgetOfAnIteration) {
  config::TrainConfig config = filtered(2, 10);
  EXPECT_EQ(Rounds(config).token_budget(), 0);
  config.rollout.engine.token_budget = 100;
  Rounds rounds(config);
  EXPECT_EQ(rounds.token_budget(), 100);
  rounds.add_rollout({{"rollout/generated_tokens", 70}});
  EXPECT_EQ(rounds.token_budget(), 30);
  EXPECT_TRUE(rounds.wants_another());
  rounds.add_rollout({{"rollout/generated_tokens", 30}});
  EXPECT_FALSE(rounds.wants_another());
}

TEST(WithRound, AddsCountsAndAveragesMeans) {
  const Metrics a = {{"rollout/generated_tokens", 100}, {"rollout/seconds", 2},
                     {"rollout/tokens_per_second", 50}, {"rollout/decode_steps", 20},
                     {"rollout/mean_batch", 4},         {"rollout/tokens_per_forward", 1.25},
                     {"rollout/draft_tokens", 0},       {"rollout/acceptance_rate", 0},
                     {"rollout/kv_peak_blocks", 9},     {"memory/kv_gb", 2},
                     {"rollout/host_tokens/h", 60},     {"rollout/load_seconds_max", 0.5}};
  const Metrics b = {{"rollout/generated_tokens", 20},  {"rollout/seconds", 1},
                     {"rollout/tokens_per_second", 20}, {"rollout/decode_steps", 10},
                     {"rollout/mean_batch", 2},         {"rollout/tokens_per_forward", 1},
                     {"rollout/draft_tokens", 0},       {"rollout/acceptance_rate", 0},
                     {"rollout/kv_peak_blocks", 4},     {"memory/kv_gb", 2},
                     {"rollout/host_tokens/h", 20},     {"rollout/load_seconds_max", 0.25}};
  const Metrics joined = with_round(a, b);
  EXPECT_EQ(joined.at("rollout/generated_tokens"), 120);
  EXPECT_EQ(joined.at("rollout/tokens_per_second"), 40);
  EXPECT_NEAR(joined.at("rollout/mean_batch"), 100.0 / 30, 1e-12);
  EXPECT_EQ(joined.at("rollout/tokens_per_forward"), 1.2);
  EXPECT_EQ(joined.at("rollout/acceptance_rate"), 0);
  EXPECT_EQ(joined.at("rollout/kv_peak_blocks"), 9);
  EXPECT_EQ(joined.at("memory/kv_gb"), 2);
  EXPECT_EQ(joined.at("rollout/host_tokens/h"), 80);
  EXPECT_EQ(joined.at("rollout/load_seconds_max"), 0.5);
  EXPECT_EQ(with_round({}, b), b);
}

}  // namespace
}  // namespace longshot::loop
