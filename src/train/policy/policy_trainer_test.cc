#include "train/policy/policy_trainer.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "base/rng.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

// The models are too small to benefit from a second thread.
class OneThread : public testing::Environment {
 public:
  void SetUp() override { at::set_num_threads(1); }
};
const auto* const kOneThread = testing::AddGlobalTestEnvironment(new OneThread);

// sum_j (r_j - mean r) log pi(y_j), which every algorithm increases, up to its own weighting.
double rewarded_logprob(PolicyTrainer& trainer, const std::vector<data::Group>& groups) {
  double total = 0;
  for (const auto& group : groups) {
    double mean = 0;
    for (const auto& verdict : group.verdicts) mean += verdict.score / 4;
    for (size_t j = 0; j < group.samples.size(); ++j) {
      auto all = group.samples[j].prompt_tokens;
      const auto& tokens = group.samples[j].tokens;
      all.insert(all.end(), tokens.begin(), tokens.end());
      const auto logprobs = logprobs_of(trainer.model(), all);
      for (size_t t = all.size() - tokens.size() - 1; t < logprobs.size(); ++t) {
        total += (group.verdicts[j].score - mean) * logprobs[t];
      }
    }
  }
  return total;
}

TEST(PolicyTrainer, EveryAlgorithmRaisesRewardedResponsesAboveTheOthers) {
  for (const Algorithm name : all_of<Algorithm>()) {
    for (const Baseline baseline : all_of<Baseline>()) {
      if (name != Algorithm::kimi && baseline == Baseline::logz) continue;
      AlgorithmOptions algorithm;
      algorithm.name = name;
      algorithm.baseline = baseline;
      PolicyTrainer trainer(tiny_weights(), optimizer(1e-3), algorithm, 10);
      const auto groups = make_groups(trainer, 8, 4, 5);
      const double before = rewarded_logprob(trainer, groups);
      const auto metrics = trainer.fit(groups, {0, 1, 0});
      ASSERT_TRUE(metrics.ok()) << metrics.status().to_string();
      EXPECT_GT(rewarded_logprob(trainer, groups), before)
          << name_of(name) << " " << name_of(baseline);
      EXPECT_EQ(trainer.model().steps(), 4);
    }
  }
}

TEST(PolicyTrainer, UnchangedWeightsReproduceTheRecordedLogprobs) {
  PolicyTrainer trainer(tiny_weights(), optimizer(), {}, 10);
  const auto groups = make_groups(trainer, 8, 4, 5);
  const auto metrics = trainer.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok());
  const auto& m = *metrics;
  EXPECT_LT(m.at("training/rollout_probs_diff_max"), 1e-5);
  EXPECT_LE(m.at("training/rollout_probs_diff_mean"), m.at("training/rollout_probs_diff_max"));
  EXPECT_NEAR(m.at("actor/entropy"), std::log(32.0), 0.1);  // nearly uniform at random weights
  EXPECT_GE(m.at("actor/kl"), 0);
  EXPECT_EQ(m.at("actor/samples"), 32);
  EXPECT_EQ(m.at("actor/optimizer_steps"), 4);
  EXPECT_EQ(m.at("actor/skipped_steps"), 0);
  EXPECT_GT(m.at("perf/train_tokens_per_second"), 0);
}

TEST(PolicyTrainer, AForeignPolicyShowsInTheDifference) {
  PolicyTrainer trainer(tiny_weights(), optimizer(), {}, 10);
  auto groups = make_groups(trainer, 2, 2, 5);
  for (auto& group : groups) {
    for (auto& sample : group.samples) sample.logprobs[0] += 0.5f;
  }
  AlgorithmOptions one_step;
  one_step.mini_batches = 1;
  PolicyTrainer other(tiny_weights(), optimizer(), one_step, 10);
  EXPECT_NEAR(other.fit(groups, {0, 1, 0})->at("training/rollout_probs_diff_max"), 0.5, 1e-5);
}

// With Reference::trainer the update does not depend on the rollout's recorded numbers.
TEST(PolicyTrainer, ATrainerReferenceDoesNotDependOnTheRecordedLogprobs) {
  AlgorithmOptions options;
  options.reference = Reference::trainer;
  PolicyTrainer exact(tiny_weights(), optimizer(), options, 10),
      shifted(tiny_weights(), optimizer(), options, 10),
      recorded(tiny_weights(), optimizer(), {}, 10);
  auto groups = make_groups(exact, 8, 4, 5);
  ASSERT_TRUE(exact.fit(groups, {0, 1, 0}).ok());
  for (auto& group : groups) {
    for (auto& sample : group.samples) {
      for (float& logprob : sample.logprobs) logprob -= 0.3f;
    }
  }
  const auto metrics = shifted.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok());
  EXPECT_NEAR(metrics->at("training/rollout_probs_diff_mean"), 0.3, 1e-5);
  EXPECT_EQ(metrics->at("actor/optimizer_steps"), 4);
  EXPECT_TRUE(equal(exact.model().weights(), shifted.model().weights()));
  ASSERT_TRUE(recorded.fit(groups, {0, 1, 0}).ok());
  EXPECT_FALSE(equal(exact.model().weights(), recorded.model().weights()));
}

TEST(PolicyTrainer, TheGapIsReportedForEachKindOfEngine) {
  PolicyTrainer own(tiny_weights(), optimizer(), {}, 10),
      mixed(tiny_weights(), optimizer(), {}, 10);
  auto groups = make_groups(own, 4, 4, 5);
  const auto metrics = own.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(metrics->count("rollout/logprob_gap/longshot"), 0u);  // training/rollout_probs_diff_*
  for (auto& group : groups) {  // a server has generated the end of each sample
    for (auto& sample : group.samples) {
      const int cut = static_cast<int>(sample.tokens.size()) / 2;
      sample.segments.push_back(
          {cut, sample.segments[0].end, sample.segments[0].version, data::EngineKind::vllm});
      sample.segments[0].end = cut;
      for (size_t t = static_cast<size_t>(cut); t < sample.logprobs.size(); ++t)
        sample.logprobs[t] -= 0.3f;
    }
  }
  const auto parts = mixed.fit(groups, {0, 1, 0});
  ASSERT_TRUE(parts.ok());
  EXPECT_NEAR(parts->at("rollout/logprob_gap/vllm"), 0.3, 1e-5);
  EXPECT_NEAR(parts->at("rollout/logprob_gap/longshot"), 0, 1e-5);
}

// Bits depend on the number of threads, because libtorch's reductions split their input by it.
TEST(PolicyTrainer, FitIsTheSameBitForBitOnRepeat) {
  for (const int threads : {2, 1}) {
    at::set_num_threads(threads);
    AlgorithmOptions algorithm;
    algorithm.mini_batches = 2;
    const auto run = [&] {
      auto trainer = std::make_unique<PolicyTrainer>(tiny_weights(), optimizer(), algorithm, 10);
      const auto groups = make_groups(*trainer, 2, 2, 5);
      for (int i = 0; i < 2; ++i) EXPECT_TRUE(trainer->fit(groups, {0, 1, i}).ok());
      return trainer;
    };
    EXPECT_TRUE(equal(run()->model().weights(), run()->model().weights())) << threads << " threads";
  }
}

TEST(PolicyTrainer, TheOrderOfMiniBatchesDependsOnSeedAndIteration) {
  const auto run = [](uint64_t seed, int64_t iteration) {
    auto trainer =
        std::make_unique<PolicyTrainer>(tiny_weights(), optimizer(), AlgorithmOptions{}, 10);
    EXPECT_TRUE(trainer->fit(make_groups(*trainer, 8, 4, 5), {0, seed, iteration}).ok());
    return trainer;
  };
  const auto a = run(1, 0), b = run(2, 0), c = run(1, 1);
  EXPECT_FALSE(equal(a->model().weights(), b->model().weights()));
  EXPECT_FALSE(equal(a->model().weights(), c->model().weights()));
}

TEST(PolicyTrainer, MicroBatchCutsDoNotChangeTheStep) {
  const auto run = [](int tokens) {
    AlgorithmOptions algorithm;
    algorithm.micro_batch_tokens = tokens;
    auto options = optimizer();
    options.eps = 1e-2;  // a smooth step: rounding of tiny gradients is not amplified
    auto trainer = std::make_unique<PolicyTrainer>(tiny_weights(), options, algorithm, 10);
    EXPECT_TRUE(trainer->fit(make_groups(*trainer, 8, 4, 5), {0, 1, 0}).ok());
    return trainer;
  };
  const auto whole = run(16384), cut = run(24), single = run(1);
  std::printf(
      "micro-batches of 24 tokens / 1 row against one: largest weight difference %.1e / %.1e\n",
      largest_difference(whole->model().weights(), cut->model().weights()),
      largest_difference(whole->model().weights(), single->model().weights()));
  EXPECT_LT(largest_difference(whole->model().weights(), cut->model().weights()), 1e-5);
  EXPECT_LT(largest_difference(whole->model().weights(), single->model().weights()), 1e-5);
  EXPECT_GT(largest_difference(whole->model().weights(), tiny_weights()), 1e-3);
}

TEST(PolicyTrainer, SamplesWithoutAVerdictAreLeftOutAndCounted) {
  PolicyTrainer a(tiny_weights(), optimizer(), {}, 10), b(tiny_weights(), optimizer(), {}, 10);
  auto groups = make_groups(a, 4, 4, 5);
  ASSERT_TRUE(a.fit(groups, {0, 1, 0}).ok());
  groups[1].samples.push_back(groups[0].samples[0]);
  groups[1].verdicts.push_back(data::Verdict{});
  const auto metrics = b.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(metrics->at("actor/excluded/erred"), 1);
  EXPECT_TRUE(equal(a.model().weights(), b.model().weights()));
}

TEST(PolicyTrainer, NothingToTrainOnLeavesTheWeights) {
  PolicyTrainer trainer(tiny_weights(), optimizer(), {}, 10);
  auto groups = make_groups(trainer, 2, 2, 5);
  for (auto& group : groups) group.verdicts.assign(2, data::Verdict{});
  testing::internal::CaptureStderr();
  const auto metrics = trainer.fit(groups, {0, 1, 6});
  // Iterations are counted from 1 for people.
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("iteration 7: no sample to train on"));
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(metrics->at("actor/samples"), 0);
  EXPECT_EQ(metrics->at("actor/optimizer_steps"), 0);
  for (const char* name : {"actor/lr", "actor/grad_norm", "actor/entropy", "actor/loss", "actor/kl",
                           "actor/pg_clipfrac", "critic/advantages/mean", "perf/mfu/actor",
                           "perf/train_tokens_per_second"})
    EXPECT_FALSE(metrics->contains(name)) << name;
  EXPECT_TRUE(equal(trainer.model().weights(), tiny_weights()));
}

TEST(PolicyTrainer, GroupsWithoutVarianceLeaveTheWeightsExactlyAlone) {
  PolicyTrainer trainer(tiny_weights(), optimizer(), {}, 10);
  auto groups = make_groups(trainer, 8, 4, 5);
  for (auto& group : groups) group.verdicts.assign(4, score(1));
  float rounding = 5e-5f;  // possible difference of another forward pass of the same weights
  for (auto& group : groups) {
    for (auto& sample : group.samples) {
      for (float& logprob : sample.logprobs) logprob += rounding = -rounding;
    }
  }
  const auto metrics = trainer.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(metrics->at("actor/flat_mini_batches"), 4);
  EXPECT_FALSE(metrics->contains("actor/lr"));
  EXPECT_FALSE(metrics->contains("actor/grad_norm"));
  EXPECT_GT(metrics->at("actor/entropy"), 0);  // of the sample that is computed as a check
  EXPECT_EQ(trainer.model().steps(), 4);       // the learning-rate schedule continues
  EXPECT_NEAR(metrics->at("training/rollout_probs_diff_max"), 5e-5, 1e-5);
  EXPECT_TRUE(equal(trainer.model().weights(), tiny_weights()));
}

// Half of the groups have no variance. Samples of an older policy are computed nevertheless if the
// reference is the log-probability which that policy recorded.
TEST(PolicyTrainer, SamplesWithoutAGradientAreNotComputedAndChangeNothing) {
  auto smooth = optimizer();
  smooth.eps = 1e-2;  // rounding of tiny gradients is not amplified
  AlgorithmOptions options;
  options.mini_batches = 1;
  options.reference = Reference::recorded;
  PolicyTrainer skipping(tiny_weights(), smooth, options, 10),
      computing(tiny_weights(), smooth, options, 10);
  auto groups = make_groups(skipping, 8, 4, 5);
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t j = 0; j < 4; ++j) {
      groups[g].verdicts[j] = score(g % 2 == 0 ? 1 : static_cast<double>(j % 2));
      for (auto& segment : groups[g].samples[j].segments) segment.version = 7;
    }
  }
  const auto skipped = skipping.fit(groups, {7, 1, 0});
  for (size_t g = 0; g < groups.size(); g += 2) {
    for (auto& sample : groups[g].samples) sample.segments[0].version = 6;
  }
  const auto computed = computing.fit(groups, {7, 1, 0});
  ASSERT_TRUE(skipped.ok() && computed.ok());
  EXPECT_EQ(skipped->at("actor/flat_samples"), 16);
  EXPECT_EQ(computed->at("actor/flat_samples"), 0);
  EXPECT_LT(skipped->at("perf/train_tokens"), computed->at("perf/train_tokens"));
  EXPECT_LT(largest_difference(skipping.model().weights(), computing.model().weights()), 1e-6);
  EXPECT_GT(largest_difference(skipping.model().weights(), tiny_weights()), 1e-4);
}

TEST(PolicyTrainer, ANanGradientSkipsTheStepAndIsCounted) {
  PolicyTrainer trainer(tiny_weights(), optimizer(), {}, 10);
  const auto groups = make_groups(trainer, 4, 4, 5);
  {
    const at::NoGradGuard no_grad;
    trainer.model().weights().tensors().back().tensor.fill_(
        std::numeric_limits<float>::quiet_NaN());
  }
  const auto metrics = trainer.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(metrics->at("actor/skipped_steps"), 4);
  EXPECT_EQ(metrics->at("actor/lr"), 1e-2);
  EXPECT_FALSE(metrics->contains("actor/grad_norm"));
  const auto clean = tiny_weights();
  EXPECT_TRUE(trainer.model().weights().tensors()[0].tensor.detach().equal(
      clean.tensors()[0].tensor.detach()));
}

}  // namespace
}  // namespace longshot::train
