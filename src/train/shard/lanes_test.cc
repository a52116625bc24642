// Policy updates whose steps are cut into lanes, in one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "train/policy/policy_trainer.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

struct Fitted {
  std::unique_ptr<PolicyTrainer> trainer;
  Metrics metrics;
};

// eps makes the step smooth, so that rounding of tiny gradients is not amplified.
Fitted fit(int lanes, const AlgorithmOptions& algorithm, bool other_rollout = false) {
  OptimizerOptions options = optimizer();
  options.eps = 1e-2;
  Fitted out;
  out.trainer = std::make_unique<PolicyTrainer>(tiny_weights(), options, algorithm, 10,
                                                Lanes{.count = lanes});
  for (int i = 0; i < 2; ++i) {
    auto groups = make_groups(*out.trainer, 8, 4, 5 + static_cast<uint64_t>(i));
    for (auto& verdict : groups[1].verdicts) verdict = score(0.5);  // a group without a gradient
    if (other_rollout)
      for (auto& group : groups)
        for (auto& sample : group.samples) sample.logprobs[0] += 0.1F;
    auto metrics = out.trainer->fit(groups, {i, 1, i});
    EXPECT_TRUE(metrics.ok()) << metrics.status().to_string();
    if (metrics.ok()) out.metrics = *metrics;
  }
  return out;
}

bool depends_on_time_or_memory(const std::string& name) {
  return name.starts_with("timing_s/") || name.starts_with("memory/") ||
         name.ends_with("per_second") || name.starts_with("perf/");
}

void expect_equal_to_rounding(const Fitted& one, const Fitted& several) {
  EXPECT_LT(largest_difference(one.trainer->model().weights(), several.trainer->model().weights()),
            1e-6);
  for (const auto& [name, value] : one.metrics) {
    if (depends_on_time_or_memory(name)) continue;
    ASSERT_TRUE(several.metrics.contains(name)) << name;
    EXPECT_NEAR(several.metrics.at(name), value, 1e-5 * std::max(1.0, std::abs(value))) << name;
  }
}

TEST(Lanes, AgreeWithOneLaneToRounding) {
  for (const Algorithm name : all_of<Algorithm>()) {
    AlgorithmOptions algorithm;
    algorithm.name = name;
    algorithm.mini_batches = 2;
    const Fitted one = fit(1, algorithm);
    for (const int lanes : {2, 4, 16}) expect_equal_to_rounding(one, fit(lanes, algorithm));
  }
}

// Rows that are skipped at first must be computed after all.
TEST(Lanes, AgreeWithOneLaneIfTheRolloutDiffers) {
  AlgorithmOptions algorithm;
  algorithm.mini_batches = 2;
  algorithm.reference = Reference::recorded;
  const Fitted one = fit(1, algorithm, /*other_rollout=*/true);
  EXPECT_EQ(one.metrics.at("actor/flat_samples"), 0);
  for (const int lanes : {2, 4}) expect_equal_to_rounding(one, fit(lanes, algorithm, true));
}

TEST(Lanes, AReferenceOfTheTrainerIsComputedInLanes) {
  AlgorithmOptions algorithm;
  algorithm.reference = Reference::trainer;
  algorithm.mini_batches = 2;
  const Fitted one = fit(1, algorithm), four = fit(4, algorithm);
  expect_equal_to_rounding(one, four);
  EXPECT_GT(four.metrics.at("perf/reference_tokens"), 0);
}

TEST(Lanes, TheNumberOfLanesChangesTheRounding) {
  const Fitted one = fit(1, {}), two = fit(2, {}), again = fit(2, {});
  EXPECT_FALSE(equal(one.trainer->model().weights(), two.trainer->model().weights()));
  EXPECT_TRUE(equal(two.trainer->model().weights(), again.trainer->model().weights()));
}

}  // namespace
}  // namespace longshot::train
