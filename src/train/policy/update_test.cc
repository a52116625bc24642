// Policy updates with samples of several versions, with equal rewards, or with a separate model for
// the KL penalty.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "train/advantage/advantage.h"
#include "train/policy/policy_trainer.h"
#include "train/policy/reference.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

AlgorithmOptions algorithm(Algorithm name, Reference reference = Reference::automatic) {
  AlgorithmOptions a;
  a.name = name;
  a.reference = reference;
  return a;
}

// Every second sample ended two versions ago, and its recorded log-probabilities are off by 0.3.
void make_half_stale(std::vector<data::Group>& groups, int64_t version) {
  for (auto& group : groups) {
    for (size_t j = 0; j < group.samples.size(); ++j) {
      data::Sample& sample = group.samples[j];
      sample.segments[0].version = j % 2 == 0 ? version : version - 2;
      for (float& logprob : sample.logprobs) logprob -= j % 2 == 0 ? 0.0f : 0.3f;
    }
  }
}

TEST(Update, EqualRewardsOfAnyValueTakeNoStep) {
  for (const Algorithm name :
       {Algorithm::kimi, Algorithm::rloo, Algorithm::grpo, Algorithm::reinforce}) {
    for (const bool logz : {false, true}) {
      for (const double value : {0.1, 0.3, -0.7}) {
        AlgorithmOptions options = algorithm(name);
        if (logz) options.baseline = Baseline::logz;
        PolicyTrainer trainer(tiny_weights(), optimizer(), options, 10);
        auto groups = make_groups(trainer, 4, 8, 5);
        for (auto& group : groups) group.verdicts.assign(8, score(value));
        groups[0].verdicts.assign(8, score(value));
        groups[0].verdicts[3] = score(value + 0.25 - 0.25);
        const auto metrics = trainer.fit(groups, {0, 1, 0});
        ASSERT_TRUE(metrics.ok()) << metrics.status().message();
        EXPECT_EQ(metrics->at("actor/optimizer_steps"), 0) << name_of(name) << " " << value;
        EXPECT_TRUE(equal(trainer.model().weights(), tiny_weights()))
            << name_of(name) << " " << value;
      }
    }
  }
}

TEST(Update, TheLogprobGapCountsOnlyTokensOfThePresentVersion) {
  for (const Reference reference : all_of<Reference>()) {
    PolicyTrainer trainer(tiny_weights(), optimizer(), algorithm(Algorithm::kimi, reference), 10);
    auto groups = make_groups(trainer, 8, 4, 5);
    make_half_stale(groups, 7);
    const auto metrics = trainer.fit(groups, {7, 1, 0});
    ASSERT_TRUE(metrics.ok());
    EXPECT_LT(metrics->at("training/rollout_probs_diff_max"), 1e-5) << name_of(reference);
    // No sample is of version 8, so there is nothing to compare.
    const auto all_stale = trainer.fit(groups, {8, 1, 1});
    EXPECT_EQ(all_stale->count("training/rollout_probs_diff_max"), 0u) << name_of(reference);
  }
}

// A sample that ended under an older policy has the same reference as the others: the policy at the
// start of the iteration, as the loss of the Kimi k1.5 report requires.
TEST(Update, AutoIsOneReferenceForSamplesOfAllVersions) {
  const auto run = [](Reference reference) {
    auto options = optimizer();
    options.eps = 1e-2;  // a smooth step: rounding of tiny gradients is not amplified
    auto trainer = std::make_unique<PolicyTrainer>(tiny_weights(), options,
                                                   algorithm(Algorithm::kimi, reference), 10);
    auto groups = make_groups(*trainer, 8, 4, 5);
    make_half_stale(groups, 7);
    EXPECT_TRUE(trainer->fit(groups, {7, 1, 0}).ok());
    return trainer;
  };
  const auto one = run(Reference::automatic), computed = run(Reference::trainer),
             recorded = run(Reference::recorded);
  EXPECT_LT(largest_difference(one->model().weights(), computed->model().weights()), 1e-6);
  EXPECT_GT(largest_difference(one->model().weights(), recorded->model().weights()), 1e-4);
}

TEST(Update, OnlyRowsWithoutARecordedReferenceTakeAReferencePass) {
  const auto reference_tokens = [](const AlgorithmOptions& options, bool stale) {
    PolicyTrainer trainer(tiny_weights(), optimizer(), options, 10);
    auto groups = make_groups(trainer, 8, 4, 5);
    if (stale) make_half_stale(groups, 0);
    return trainer.fit(groups, {0, 1, 0})->at("perf/reference_tokens");
  };
  EXPECT_EQ(reference_tokens(algorithm(Algorithm::kimi), false), 0);
  EXPECT_EQ(reference_tokens(algorithm(Algorithm::kimi, Reference::recorded), true), 0);
  const double some = reference_tokens(algorithm(Algorithm::kimi), true),
               all = reference_tokens(algorithm(Algorithm::kimi, Reference::trainer), true);
  EXPECT_GT(some, 0);
  EXPECT_GT(all, some);
  for (const Algorithm name : {Algorithm::rest, Algorithm::reinforce, Algorithm::rloo}) {
    EXPECT_EQ(reference_tokens(algorithm(name, Reference::trainer), true), 0) << name_of(name);
  }
  AlgorithmOptions single = algorithm(Algorithm::grpo, Reference::trainer);
  single.mini_batches = 1;  // the only forward pass is the reference
  EXPECT_EQ(reference_tokens(single, true), 0);
}

TEST(Reference, RoundingIsRemovedFromFreshTokensAlone) {
  data::TrainRow row;
  row.tokens = {1, 2, 3, 4};
  row.loss_mask = {0, 1, 1, 1};
  row.fresh = {0, 1, 0, 1};
  row.logprobs = {0, -1.0f, -1.0f, -1.0f};
  const std::vector<double> start = {-1.0001, -1.0001, -1.5};
  const auto reference = [&](Reference from, bool without_rounding) {
    return reference_logprobs(row, start, from, without_rounding);
  };
  EXPECT_THAT(reference(Reference::recorded, true), ElementsAre(-1.0001, -1, -1));
  EXPECT_THAT(reference(Reference::recorded, false), ElementsAre(-1, -1, -1));
  EXPECT_THAT(reference(Reference::automatic, true), ElementsAre(-1.0001, -1.0001, -1));
  EXPECT_THAT(reference(Reference::automatic, false), ElementsAre(-1, -1.0001, -1));
  EXPECT_THAT(reference(Reference::trainer, false), ElementsAre(-1.0001, -1.0001, -1.5));
}

// ---- weights of responses and tokens ----

// The loss of the first step, when all ratios are 1 and so d loss / d advantage is -1 a token.
TEST(Update, LengthNormalizeWeighsResponsesAsTheTableSays) {
  for (const LengthNormalize kind : all_of<LengthNormalize>()) {
    AlgorithmOptions options = algorithm(Algorithm::grpo);
    options.mini_batches = 1;
    options.length_normalize = kind;
    options.max_response_length = 12;
    PolicyTrainer trainer(tiny_weights(), optimizer(), options, 10);
    const auto groups = make_groups(trainer, 4, 8, 5);
    GroupValues rewards;
    double tokens = 0, expected = 0;
    for (const auto& group : groups) {
      auto& values = rewards.emplace_back();
      for (const auto& verdict : group.verdicts) values.push_back(verdict.score);
      for (const auto& sample : group.samples) tokens += static_cast<double>(sample.tokens.size());
    }
    const GroupValues advantages = compute_advantages(options, rewards);
    for (size_t g = 0; g < groups.size(); ++g) {
      for (size_t j = 0; j < 8; ++j) {
        const auto n = static_cast<double>(groups[g].samples[j].tokens.size());
        const double sum = -advantages[g][j] * n;
        expected += kind == LengthNormalize::none       ? sum / (4 * 8)
                    : kind == LengthNormalize::mean     ? sum / n / (4 * 8)
                    : kind == LengthNormalize::constant ? sum / 12 / (4 * 8)
                                                        : sum / tokens;
      }
    }
    const auto metrics = trainer.fit(groups, {0, 1, 0});
    ASSERT_TRUE(metrics.ok());
    EXPECT_NEAR(metrics->at("actor/pg_loss"), expected, 1e-6) << name_of(kind);
  }
}

TEST(Update, MaskedResponsesEnterTheBaselineAlone) {
  const auto run = [](bool mask, bool cut, size_t& rows) {
    AlgorithmOptions options = algorithm(Algorithm::grpo);
    options.mask_truncated = mask;
    auto trainer = std::make_unique<PolicyTrainer>(tiny_weights(), optimizer(), options, 10);
    auto groups = make_groups(*trainer, 4, 8, 5);
    for (auto& group : groups)
      for (size_t j = 0; j < 8; j += 2)
        if (cut) group.samples[j].finish = data::FinishReason::length;
    const auto metrics = trainer->fit(groups, {0, 1, 0});
    EXPECT_TRUE(metrics.ok());
    rows = mask ? static_cast<size_t>(metrics->at("actor/masked_samples")) : 0;
    return trainer;
  };
  size_t masked = 0;
  const auto plain = run(false, true, masked), without_cuts = run(true, false, masked);
  EXPECT_EQ(masked, 0u);
  EXPECT_TRUE(equal(plain->model().weights(), without_cuts->model().weights()));
  const auto some = run(true, true, masked);
  EXPECT_EQ(masked, 16u);
  EXPECT_GT(largest_difference(plain->model().weights(), some->model().weights()), 1e-4);
}

TEST(Update, AnIterationOfMaskedResponsesTakesNoStep) {
  AlgorithmOptions options = algorithm(Algorithm::kimi);
  options.mask_truncated = true;
  PolicyTrainer trainer(tiny_weights(), optimizer(), options, 10);
  auto groups = make_groups(trainer, 2, 4, 5);
  for (auto& group : groups)
    for (auto& sample : group.samples) sample.finish = data::FinishReason::length;
  testing::internal::CaptureStderr();
  const auto metrics = trainer.fit(groups, {0, 1, 6});
  const std::string log = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(metrics.ok()) << metrics.status().message();
  const size_t said = log.find(
      "iteration 7: no sample to train on, because algorithm.mask_truncated leaves out all 8 "
      "judged responses");
  EXPECT_NE(said, std::string::npos) << log;
  EXPECT_EQ(log.find("no sample to train on", said + 30), std::string::npos) << log;
  EXPECT_EQ(metrics->at("actor/optimizer_steps"), 0);
  EXPECT_TRUE(equal(trainer.model().weights(), tiny_weights()));
  // The learning rate's schedule continues.
  EXPECT_EQ(trainer.model().optimizer().counters().schedule_steps,
            options.mini_batches * options.epochs);
}

TEST(Update, AnEntropyBonusRaisesTheEntropyWithoutAnyAdvantage) {
  AlgorithmOptions options = algorithm(Algorithm::grpo);
  options.entropy_coef = 0.1;
  options.mini_batches = 1;
  PolicyTrainer trainer(tiny_weights(), optimizer(1e-3), options, 10);
  double before = 0;
  for (int i = 0; i < 4; ++i) {
    auto groups = make_groups(trainer, 4, 8, 5);
    for (auto& group : groups) group.verdicts.assign(8, score(1));
    const auto metrics = trainer.fit(groups, {i, 1, i});
    ASSERT_TRUE(metrics.ok());
    EXPECT_EQ(metrics->at("actor/optimizer_steps"), 1);
    EXPECT_GT(metrics->at("actor/entropy"), before);
    EXPECT_LT(metrics->at("actor/entropy_loss"), 0);
    before = metrics->at("actor/entropy");
  }
}

// The recorded log-probabilities are 0.3 too low, so every ratio is exp(0.3) = 1.35.
TEST(Update, RolloutWeightsCompareTheStartWithWhatTheRolloutRecorded) {
  const auto run = [](double high, const char* metric) {
    AlgorithmOptions options = algorithm(Algorithm::grpo, Reference::trainer);
    options.rollout_weights = RolloutWeights::truncate;
    options.rollout_weights_high = high;
    PolicyTrainer trainer(tiny_weights(), optimizer(), options, 10);
    auto groups = make_groups(trainer, 4, 8, 5);
    for (auto& group : groups)
      for (auto& sample : group.samples)
        for (float& logprob : sample.logprobs) logprob -= 0.3f;
    const auto metrics = trainer.fit(groups, {0, 1, 0});
    EXPECT_TRUE(metrics.ok());
    return metrics->at(metric);
  };
  EXPECT_NEAR(run(2, "actor/rollout_weight"), std::exp(0.3), 1e-4);
  EXPECT_EQ(run(2, "actor/rollout_weight_limited"), 0);
  EXPECT_NEAR(run(1.1, "actor/rollout_weight"), 1.1, 1e-9);
  EXPECT_EQ(run(1.1, "actor/rollout_weight_limited"), 1);
}

// ---- the fixed model of the KL penalty ----

AlgorithmOptions with_kl(double coef) {
  AlgorithmOptions a = algorithm(Algorithm::grpo);
  a.kl_coef = coef;
  a.mini_batches = 1;
  return a;
}

model::Weights with_adapter() {
  model::Weights weights = tiny_weights();
  const auto modules = model::adapter_modules(weights.config(), {"all-linear"});
  weights.add_adapter(model::new_adapter(weights.config(), {.rank = 4}, *modules, 1));
  return weights;
}

// Moves an adapter away from its base.
void disturb(model::Weights& weights) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : weights.tensors()) {
    if (name.find("lora_B") != std::string::npos) tensor.fill_(0.05);
  }
}

// The mean over tokens of k3, computed from the log-probabilities of two trainers.
double mean_k3(PolicyTrainer& policy, PolicyTrainer& model,
               const std::vector<data::Group>& groups) {
  double total = 0;
  int count = 0;
  for (const auto& group : groups) {
    for (const auto& sample : group.samples) {
      std::vector<data::TokenId> all = sample.prompt_tokens;
      all.insert(all.end(), sample.tokens.begin(), sample.tokens.end());
      const auto l = logprobs_of(policy.model(), all), q = logprobs_of(model.model(), all);
      double sum = 0;
      for (size_t t = l.size() - sample.tokens.size(); t < l.size(); ++t)
        sum += std::exp(q[t] - l[t]) - (q[t] - l[t]) - 1;
      total += sum;
      ++count;
    }
  }
  return total / count;
}

TEST(KlModel, ThePenaltyIsMeasuredAgainstItAndPullsTowardsIt) {
  for (const auto kernels : all_of<model::KernelChoice>()) {
    AlgorithmOptions options = with_kl(0.5);
    options.compute.kernels = kernels;
    PolicyTrainer trainer(tiny_weights(true, 1), optimizer(1e-3), options, 10),
        model(tiny_weights(true, 2), optimizer(), {}, 10);
    ASSERT_TRUE(trainer.set_kl_model(tiny_weights(true, 2)).ok());
    auto groups = make_groups(trainer, 4, 4, 5);
    // Only the penalty has a gradient.
    for (auto& group : groups) group.verdicts.assign(4, score(1));
    const double before = mean_k3(trainer, model, groups);
    const auto metrics = trainer.fit(groups, {0, 1, 0});
    ASSERT_TRUE(metrics.ok()) << metrics.status().message();
    EXPECT_NEAR(metrics->at("actor/kl_loss"), 0.5 * before, 1e-5 * before);
    EXPECT_EQ(metrics->at("actor/optimizer_steps"), 1);
    EXPECT_LT(mean_k3(trainer, model, groups), 0.95 * before);
  }
}

TEST(KlModel, WithoutOneThePenaltyIsZeroAtTheStart) {
  PolicyTrainer trainer(tiny_weights(), optimizer(), with_kl(0.5), 10);
  const auto metrics = trainer.fit(make_groups(trainer, 4, 4, 5), {0, 1, 0});
  EXPECT_EQ(metrics->at("actor/kl_loss"), 0);
  EXPECT_EQ(metrics->at("perf/reference_tokens"), 0);
}

// The fixed model of the run is the one it starts from, so its penalty is only rounding at the
// first step.
TEST(KlModel, RoundingOfTheSameModelTakesNoStep) {
  model::Weights same = tiny_weights();
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, tensor] : same.tensors()) tensor.mul_(1 + 1e-6);
  }
  PolicyTrainer trainer(tiny_weights(), optimizer(), with_kl(0.5), 10);
  ASSERT_TRUE(trainer.set_kl_model(std::move(same)).ok());
  auto groups = make_groups(trainer, 4, 4, 5);
  for (auto& group : groups) group.verdicts.assign(4, score(0.1));
  const auto metrics = trainer.fit(groups, {0, 1, 0});
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(metrics->at("actor/optimizer_steps"), 0);
  EXPECT_TRUE(equal(trainer.model().weights(), tiny_weights()));
}

TEST(KlModel, TheBaseOfAnAdapterServesWithoutASecondCopy) {
  const auto run = [](bool shared, Metrics& metrics) {
    auto trainer = std::make_unique<PolicyTrainer>(with_adapter(), optimizer(), with_kl(0.5), 10);
    disturb(trainer->model().weights());
    if (shared) {
      trainer->use_base_as_kl_model();
    } else {
      EXPECT_TRUE(trainer->set_kl_model(tiny_weights()).ok());
    }
    metrics = trainer->fit(make_groups(*trainer, 4, 4, 5), {0, 1, 0}).value();
    return trainer;
  };
  Metrics shared_metrics, copied_metrics;
  const auto shared = run(true, shared_metrics), copied = run(false, copied_metrics);
  EXPECT_TRUE(equal(shared->model().weights(), copied->model().weights()));
  EXPECT_GT(shared_metrics["actor/kl_loss"], 0);
  EXPECT_EQ(shared_metrics["actor/kl_loss"], copied_metrics["actor/kl_loss"]);
  double bytes = 0;
  for (const auto& named : tiny_weights().tensors())
    bytes += static_cast<double>(named.tensor.nbytes());
  const double more = copied_metrics["memory/kl_model_gb"] - shared_metrics["memory/kl_model_gb"];
  EXPECT_NEAR(more * (1 << 30), bytes, 1);
}

TEST(KlModel, AnotherVocabularyIsAnErrorThatNamesTheKey) {
  PolicyTrainer trainer(tiny_weights(), optimizer(), with_kl(0.5), 10);
  model::ModelConfig other = tiny_llama();
  other.vocab_size = 48;
  const Status status = trainer.set_kl_model(model::Weights::random(other, 1, "cpu"));
  EXPECT_THAT(status.message(), HasSubstr("algorithm.kl_reference"));
}

// With the policy itself as the fixed model there is no penalty, and rounding makes none. Another
// model takes its part off the rewards of each algorithm.
TEST(Update, AKlPenaltyOfTheRewardChangesTheAdvantages) {
  for (const Algorithm name : {Algorithm::kimi, Algorithm::rloo, Algorithm::grpo}) {
    AlgorithmOptions options = algorithm(name);
    options.kl_coef = 0.1;
    options.kl_place = KlPlace::reward;
    options.kl_estimator = KlEstimator::k1;
    options.kl_reference = "model";
    for (const bool same : {true, false}) {
      PolicyTrainer trainer(tiny_weights(), optimizer(), options, 10);
      ASSERT_TRUE(trainer.set_kl_model(tiny_weights(true, same ? 1 : 2)).ok());
      auto groups = make_groups(trainer, 4, 8, 5);
      for (auto& group : groups) group.verdicts.assign(8, score(1));
      const auto metrics = trainer.fit(groups, {0, 1, 0});
      ASSERT_TRUE(metrics.ok());
      EXPECT_EQ(metrics->at("actor/reward_kl_penalty") == 0, same) << name_of(name);
      EXPECT_EQ(metrics->at("actor/optimizer_steps") == 0, same) << name_of(name);
    }
  }
}

}  // namespace
}  // namespace longshot::train
