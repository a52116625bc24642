#include "loop/plan/cluster_rows.h"

#include <gtest/gtest.h>

#include <limits>

namespace longshot::loop {
namespace {

// 16 groups of 4 samples of 100 tokens; each worker has 4 slots, and a step takes 0.01 s. A worker
// therefore needs 1 s for a group. No time on the wire.
PlanInputs inputs_of(int workers, int trainers = 1) {
  PlanInputs in;
  in.hosts = equal_hosts(trainers, workers).value();
  in.hosts.kinds.front().latency_ms = 0;
  in.hosts.kinds.front().link_gbits = in.hosts.trainers.link_gbits =
      std::numeric_limits<double>::infinity();
  in.costs.steps.points = {{1, 0.01}};
  in.costs.update = 8;
  in.costs.write = 0.5;
  in.costs.load = 0.25;
  in.costs.message = 0;
  in.size = {.groups = 16, .n = 4, .prompt = 0, .response = 100};
  in.lengths = {.recorded = {}, .mean = 100, .spread = 0, .most = 100};
  in.rounds = {{1, 16}};
  in.slots = 4;
  return in;
}

TEST(ClusterRows, PartsOfAnIterationAddUp) {
  const ClusterRow row = plan_row(inputs_of(2), 2);
  EXPECT_NEAR(row.weights, 0.75, 1e-6);
  EXPECT_EQ(row.write, 0.5);
  EXPECT_NEAR(row.rollout, 8, 1e-6);
  EXPECT_EQ(row.reward, 0);
  EXPECT_EQ(row.update, 8);
  EXPECT_NEAR(row.iteration, 0.75 + 8 + 8, 1e-6);
  EXPECT_NEAR(row.trainer_idle, 8.75 / 16.75, 1e-6);
  EXPECT_NEAR(row.worker_idle, 8.75 / 16.75, 1e-6);
  EXPECT_NEAR(row.tokens, 6400 / 16.75, 1e-3);
}

TEST(ClusterRows, StalenessHidesTheShorterOfRolloutAndUpdate) {
  PlanInputs in = inputs_of(1);
  in.staleness = 1;
  const ClusterRow one = plan_row(in, 1);  // 16.25 s of rollout beside 8 s of update
  EXPECT_NEAR(one.iteration, 0.5 + 16.25, 1e-6);
  const ClusterRow four = plan_row(in, 4);  // 4.25 s beside 8
  EXPECT_NEAR(four.iteration, 0.5 + 8, 1e-6);
  in.costs.reward = 1;  // 64 samples, judged one after the other from second 1.25 on
  const ClusterRow judged = plan_row(in, 4);
  EXPECT_NEAR(judged.reward, 1.25 + 64 - 8, 1e-6);
}

TEST(ClusterRows, TrainersShareTheUpdateAndExchange) {
  PlanInputs in = inputs_of(1, 4);
  EXPECT_NEAR(update_seconds(in), 2, 1e-6);
  in.hosts.trainers.link_gbits = 8;  // 1e9 bytes a second
  in.trained_parameters = 1e9;
  in.optimizer_steps = 3;
  // 3 steps * 2 * 3/4 * 4e9 bytes, and 6,400 tokens of 12 bytes for each of 3 others.
  EXPECT_NEAR(update_seconds(in), 2 + 18 + 3 * 12 * 6400 / 1e9, 1e-9);
  in.hosts.trainers.speed = 2;
  EXPECT_NEAR(update_seconds(in), 1 + 18 + 3 * 12 * 6400 / 1e9, 1e-9);
}

TEST(ClusterRows, HostsFetchWeightsAtTheSameTimeAndTheCoordinatorsOwnDoesNot) {
  PlanInputs in = inputs_of(4);
  in.version_bytes = 1e9;
  in.hosts.trainers.link_gbits = 8;
  EXPECT_NEAR(plan_row(in, 1).weights, 0.5 + 1 + 0.25, 1e-6);
  EXPECT_NEAR(plan_row(in, 4).weights, 0.5 + 4 + 0.25, 1e-6);
  in.hosts.kinds.front().workers = 4;  // on one host, which fetches once
  EXPECT_NEAR(plan_row(in, 4).weights, 0.5 + 1 + 0.25, 1e-6);
  in.hosts.kinds = {{.workers = 4, .link_gbits = 8, .latency_ms = 0, .with_coordinator = true}};
  EXPECT_NEAR(plan_row(in, 4).weights, 0.5 + 0.25, 1e-6);
}

TEST(ClusterRows, FurtherRoundsAreCountedByTheirProbability) {
  PlanInputs in = inputs_of(1);
  in.rounds = {{1, 16}, {0.5, 4}, {0.25, 2}};
  EXPECT_NEAR(plan_row(in, 1).rollout, 16 + 0.5 * 4 + 0.25 * 2, 1e-6);
  in.staleness = 1;  // only the first round is beside the update
  EXPECT_NEAR(plan_row(in, 1).iteration, 0.5 + 16.25 + 2.5, 1e-6);
}

TEST(ClusterRows, SegmentsCutTheSamples) {
  PlanInputs in = inputs_of(1);
  in.segment_tokens = 25;
  EXPECT_NEAR(plan_row(in, 1).rollout, 4, 1e-6);
}

TEST(ClusterRows, EndWhereDoublingSavesNothing) {
  const auto rows = plan_rows(inputs_of(3));
  std::vector<int> counts;
  for (const ClusterRow& row : rows) counts.push_back(row.workers);
  // 16 groups: more than 16 workers have nothing to do, but single samples are moved to idle ones,
  // which need no less time for one than for four.
  EXPECT_EQ(counts, (std::vector<int>{1, 2, 3, 4, 8, 16, 32}));
  // Iterations of 24.75, 16.75, 12.75, 10.75, 9.75 s with 1, 2, 4, 8, 16 workers: 8 to 16 saves
  // 9 %.
  const size_t last = enough_workers(rows);
  ASSERT_LT(last, rows.size());
  EXPECT_EQ(rows[last].workers, 8);
  EXPECT_EQ(enough_workers({rows[0], rows[1]}), 2u);
}

}  // namespace
}  // namespace longshot::loop
