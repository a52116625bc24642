#include "loop/simulation/round.h"

#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

SimulatedJobs equal_jobs(int groups, int n, int length, double prompt = 0) {
  return {std::vector<int>(static_cast<size_t>(groups * n), length), n, prompt};
}

// A step of 0.01 s and 0.001 s for each running sample.
StepCosts linear_costs() {
  return {.points = {{1, 0.011}, {10, 0.020}}, .context = 0, .prompt_token = 0};
}

TEST(SimulatedRound, StepSecondsAreLinearBetweenAndAfterThePoints) {
  const StepCosts costs = {.points = {{1, 1}, {3, 2}, {5, 8}}, .context = 0, .prompt_token = 0};
  EXPECT_DOUBLE_EQ(costs.step(1), 1);
  EXPECT_DOUBLE_EQ(costs.step(2), 1.5);
  EXPECT_DOUBLE_EQ(costs.step(3), 2);
  EXPECT_DOUBLE_EQ(costs.step(4), 5);
  EXPECT_DOUBLE_EQ(costs.step(6), 11);
  EXPECT_DOUBLE_EQ(costs.step(0.5), 1);
}

TEST(SimulatedRound, OneWorkerWithEqualSamplesTakesItsSteps) {
  // 8 samples together: 100 steps of 0.018 s.
  const SimulatedRound all =
      simulate_round(linear_costs(), equal_jobs(2, 4, 100), {{.slots = 8}}, {});
  EXPECT_NEAR(all.seconds, 100 * 0.018, 1e-9);
  EXPECT_NEAR(all.busy, all.seconds, 1e-9);
  EXPECT_EQ(all.moved, 0);
  // Two at a time: four times 100 steps of 0.012 s.
  const SimulatedRound few =
      simulate_round(linear_costs(), equal_jobs(2, 4, 100), {{.slots = 2}}, {});
  EXPECT_NEAR(few.seconds, 4 * 100 * 0.012, 1e-9);
  // Twice as fast.
  const SimulatedRound fast =
      simulate_round(linear_costs(), equal_jobs(2, 4, 100), {{.speed = 2, .slots = 8}}, {});
  EXPECT_NEAR(fast.seconds, 100 * 0.018 / 2, 1e-9);
}

TEST(SimulatedRound, SamplesThatEndEarlierMakeTheStepsShorter) {
  // 10 steps of 2 samples, then 30 of the longer one.
  const SimulatedRound round = simulate_round(linear_costs(), {{10, 40}, 2, 0}, {{.slots = 2}}, {});
  EXPECT_NEAR(round.seconds, 10 * 0.012 + 30 * 0.011, 1e-9);
}

TEST(SimulatedRound, APromptIsReadOnceForAGroupOnAWorker) {
  StepCosts costs = linear_costs();
  costs.prompt_token = 0.001;
  const SimulatedRound one = simulate_round(costs, equal_jobs(2, 4, 100, 50), {{.slots = 8}}, {});
  EXPECT_NEAR(one.seconds, 2 * 50 * 0.001 + 100 * 0.018, 1e-9);
}

TEST(SimulatedRound, EarlierTokensMakeStepsLonger) {
  StepCosts costs = {.points = {{1, 0.01}}, .context = 0.001, .prompt_token = 0};
  // Each of 100 steps, with t tokens before it: 0.01 + 0.001 t; half a token more on average,
  // because a step is counted at its middle.
  const SimulatedRound one = simulate_round(costs, {{100}, 1, 0}, {{.slots = 1}}, {});
  EXPECT_NEAR(one.seconds, 100 * 0.01 + 0.001 * (100 * 100 / 2.0), 1e-9);
}

TEST(SimulatedRound, EqualWorkersShareEqualSamples) {
  for (const int count : {1, 2, 4, 8}) {
    const std::vector<SimulatedWorker> workers(static_cast<size_t>(count), {.slots = 8});
    const SimulatedRound round =
        simulate_round(linear_costs(), equal_jobs(count, 8, 100), workers, {});
    EXPECT_NEAR(round.seconds, 100 * 0.018, 1e-9) << count;
    EXPECT_NEAR(round.busy, count * 100 * 0.018, 1e-9) << count;
  }
}

TEST(SimulatedRound, AFasterWorkerGetsMore) {
  // 3 and 1 samples at a time of the same seconds each: 64 samples need 16 rounds of both.
  const StepCosts flat = {.points = {{1, 0.01}}, .context = 0, .prompt_token = 0};
  const SimulatedRound round =
      simulate_round(flat, equal_jobs(64, 1, 100), {{.slots = 3}, {.slots = 1}}, {});
  EXPECT_NEAR(round.seconds, 16 * 100 * 0.01, 1e-6);
}

TEST(SimulatedRound, AWorkerThatIsReadyLaterBeginsLater) {
  const SimulatedRound round =
      simulate_round(linear_costs(), equal_jobs(1, 8, 100), {{.slots = 8, .ready = 5}}, {});
  EXPECT_NEAR(round.seconds, 5 + 100 * 0.018, 1e-9);
}

TEST(SimulatedRound, AnIdleWorkerTakesOverSamplesOfABusyOne) {
  // One worker has all 8 samples of 4 s before the other one is ready.
  const StepCosts costs = {.points = {{1, 0.01}, {8, 0.08}}, .context = 0, .prompt_token = 0};
  const SimulatedRound round =
      simulate_round(costs, equal_jobs(1, 8, 100), {{.slots = 8}, {.slots = 8, .ready = 2}}, {});
  EXPECT_GT(round.moved, 0);
  EXPECT_LT(round.seconds, 7);
  EXPECT_GT(round.seconds, 5);  // both together from second 2 on, without any loss
}

TEST(SimulatedRound, SamplesWaitForTheLinkAndTheCoordinator) {
  const StepCosts quick = {.points = {{1, 1e-9}}, .context = 0, .prompt_token = 0};
  const SimulatedJobs jobs = equal_jobs(1, 1, kPieceTokens);
  const double bytes = kPieceTokens * kTokenBytes + kPieceBytes;
  const SimulatedRound link =
      simulate_round(quick, jobs, {{.slots = 1, .bytes_per_second = bytes / 3}}, {});
  EXPECT_NEAR(link.seconds, 3, 1e-6);
  EXPECT_DOUBLE_EQ(link.bytes, bytes);
  const SimulatedRound latency = simulate_round(quick, jobs, {{.slots = 1, .latency = 0.5}}, {});
  EXPECT_NEAR(latency.seconds, 1, 1e-6);  // the job, and the sample
  // Ten workers with a sample each: the coordinator takes them in one after the other.
  const std::vector<SimulatedWorker> ten(10, {.slots = 1});
  const SimulatedRound many = simulate_round(quick, equal_jobs(10, 1, kPieceTokens), ten,
                                             {.bytes_per_second = bytes / 2, .message_seconds = 1});
  EXPECT_NEAR(many.seconds, 10 * (2 + 1), 1e-6);
}

TEST(SimulatedRound, RewardsAreJudgedBesideTheRollout) {
  const StepCosts flat = {.points = {{1, 0.1}}, .context = 0, .prompt_token = 0};
  // Samples arrive at 1, 2, 3 and 4 s, and are judged in 3 s by two threads: until 4, 5, 7 and 8.
  const SimulatedRound round = simulate_round(flat, equal_jobs(4, 1, 10), {{.slots = 1}},
                                              {.reward_seconds = 3, .reward_threads = 2});
  EXPECT_NEAR(round.seconds, 4, 1e-9);
  EXPECT_NEAR(round.judged, 8, 1e-9);
}

TEST(SimulatedRound, ManyTokensAreSimulatedCoarsely) {
  const SimulatedRound round =
      simulate_round(linear_costs(), equal_jobs(100, 10, 10000), {{.slots = 1000}}, {});
  EXPECT_NEAR(round.seconds, 10000 * (0.01 + 0.001 * 1000), 0.01 * 10000 * 1.01);
}

TEST(FetchSeconds, TheUplinkIsSharedByEqualHosts) {
  // Pure bandwidth: max(bytes / link, hosts * bytes / uplink).
  EXPECT_EQ(fetch_seconds(100, 10, {10}), (std::vector<double>{10}));
  EXPECT_EQ(fetch_seconds(100, 10, {5}), (std::vector<double>{20}));
  const auto eight = fetch_seconds(100, 10, std::vector<double>(8, 10));
  for (const double seconds : eight) EXPECT_NEAR(seconds, 80, 1e-9);
  for (const double seconds : fetch_seconds(100, 1000, std::vector<double>(8, 10)))
    EXPECT_NEAR(seconds, 10, 1e-9);
  EXPECT_TRUE(fetch_seconds(100, 10, {}).empty());
}

TEST(FetchSeconds, WhatASlowHostLeavesGoesToTheOthers) {
  // Of 10, the slow host takes 2 and the fast one 8; it ends after 100 / 8 s.
  const auto seconds = fetch_seconds(100, 10, {2, 100});
  EXPECT_NEAR(seconds[0], 50, 1e-9);
  EXPECT_NEAR(seconds[1], 12.5, 1e-9);
  // Both share 10 until 100 / 5 s; then nothing is left for the slower one to do but its rest.
  const auto both = fetch_seconds(100, 10, {5, 6});
  EXPECT_NEAR(both[0], 20, 1e-9);
  EXPECT_NEAR(both[1], 20, 1e-9);
}

}  // namespace
}  // namespace longshot::loop
