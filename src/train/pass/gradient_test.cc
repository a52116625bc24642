// Gradients against libtorch's autograd: of the objectives in double precision, and of all weights
// through the chunked head.
#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "base/rng.h"
#include "model/torch/forward.h"
#include "train/loss/policy_loss.h"
#include "train/pass/passes.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

// The formulas of train/loss/policy_loss.h on tensors; `l` and `o` are [n].
at::Tensor reference_loss(const std::string& name, const at::Tensor& l, const at::Tensor& o,
                          double advantage, const ObjectiveOptions& options) {
  const double scale = options.length_mean ? 1.0 / static_cast<double>(l.numel()) : 1.0;
  const at::Tensor sum = l.sum() * scale, rho = (l - o).sum() * scale;
  if (name == "kimi") return -advantage * sum + options.tau / 2 * rho.pow(2);
  if (name == "kimi_logz") return (advantage - options.tau * rho).pow(2) / (2 * options.tau);
  if (name == "pg") return -advantage * sum;
  const at::Tensor ratio = at::exp(name == "gspo" ? (l - o).mean() : l - o),
                   limited = ratio.clamp(1 - options.clip_low, 1 + options.clip_high);
  if (name == "cispo") return -(limited.detach() * advantage * l).sum() * scale;
  const at::Tensor gain = at::minimum(ratio * advantage, limited * advantage);
  return name == "gspo" ? -gain : -gain.sum() * scale;
}

at::Tensor reference_penalty(const at::Tensor& l, const at::Tensor& o,
                             const ObjectiveOptions& options) {
  const double scale = options.length_mean ? 1.0 / static_cast<double>(l.numel()) : 1.0;
  const at::Tensor k = options.kl_estimator == KlEstimator::k1   ? l - o
                       : options.kl_estimator == KlEstimator::k2 ? (l - o).pow(2) / 2
                                                                 : at::exp(o - l) - (o - l) - 1;
  return options.kl_coef * scale * k.sum();
}

TEST(Gradient, ObjectivesMatchAutogradInDouble) {
  CounterRng rng(11);
  double worst = 0;
  for (const auto& objective : objectives()) {
    for (const bool length_mean : {false, true}) {
      for (const auto& [advantage, estimator] : {std::pair{0.8, KlEstimator::k1},
                                                 {-0.6, KlEstimator::k2},
                                                 {0.8, KlEstimator::k3},
                                                 {-0.6, KlEstimator::k3}}) {
        const ObjectiveOptions options{
            .tau = 0.3, .length_mean = length_mean, .kl_coef = 0.1, .kl_estimator = estimator};
        std::vector<double> present, recorded, grad(20);
        for (int t = 0; t < 20; ++t) {
          present.push_back(-3 * rng.next_double() - 0.1);
          recorded.push_back(present.back() + rng.next_double() - 0.5);
        }
        const auto f64 = at::TensorOptions().dtype(at::kDouble);
        at::Tensor l = at::tensor(present, f64).requires_grad_(true);
        const at::Tensor loss =
            reference_loss(objective.name, l, at::tensor(recorded, f64), advantage, options) +
            reference_penalty(l, at::tensor(recorded, f64), options);
        loss.backward();
        const BoundObjective bound{&objective, options};
        const auto out = bound({present, recorded, advantage}, grad);
        EXPECT_NEAR(out.loss, loss.item<double>(), 1e-12) << objective.name;
        for (int t = 0; t < 20; ++t) {
          const double difference = std::abs(grad[t] - l.grad()[t].item<double>());
          worst = std::max(worst, difference);
          EXPECT_LT(difference, 1e-12) << objective.name << " token " << t;
        }
      }
    }
  }
  std::printf("objectives against autograd (f64): largest gradient difference %.1e\n", worst);
}

TEST(Gradient, AllWeightsMatchAutogradThroughFullLogits) {
  for (const bool tied : {true, false}) {
    const double temperature = 0.7;
    const std::vector<std::vector<data::TokenId>> tokens = {
        {1, 5, 9, 2, 7, 7}, {3, 4, 30}, {8, 1, 1, 2}};
    const std::vector<std::vector<uint8_t>> masks = {{0, 0, 1, 1, 0, 1}, {1, 1, 1}, {0, 0, 0, 1}};
    std::vector<PassRow> rows;
    for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({tokens[i], masks[i]});
    const auto micros = make_micro_batches(rows, {.tokens = 1024});
    ASSERT_EQ(micros.size(), 1u);
    const MicroBatch& micro = micros[0];
    std::vector<float> grad;
    for (size_t i = 0; i < micro.targets.size(); ++i)
      grad.push_back(0.3f * static_cast<float>(i) - 0.5f);

    for (const auto kernels : all_of<model::KernelChoice>()) {
      auto chunked = tiny_weights(tied), full = tiny_weights(tied);
      const auto compute = model::make_compute(chunked, {.kernels = kernels});
      const auto out = compute->logprobs(micro.predictions(temperature), {.for_backward = true});
      compute->backward(grad);

      const at::Tensor hidden = model::hidden_states(full, micro.batch);
      const at::Tensor logprobs =
          at::log_softmax(at::matmul(hidden, model::head_weight(full).t()) / temperature, -1);
      at::Tensor loss = at::zeros({});
      for (size_t i = 0; i < micro.targets.size(); ++i) {
        const at::Tensor chosen = logprobs[micro.predictors[i]][micro.targets[i]];
        EXPECT_NEAR(out.logprobs[i], chosen.item<float>(), 1e-5);
        loss = loss + chosen * grad[i];
      }
      loss.backward();
      double worst = 0;
      for (size_t i = 0; i < full.tensors().size(); ++i) {
        const at::Tensor expected = full.tensors()[i].tensor.grad(),
                         got = chunked.tensors()[i].tensor.grad();
        ASSERT_TRUE(got.defined()) << full.tensors()[i].name;
        const double size = expected.abs().max().item<double>();
        EXPECT_GT(size, 0) << full.tensors()[i].name;
        worst = std::max(worst, (expected - got).abs().max().item<double>() / size);
      }
      std::printf(
          "weights, %s kernels and chunked head against autograd (f32, %s): largest relative "
          "difference %.1e\n",
          name_of(kernels), tied ? "tied" : "untied", worst);
      EXPECT_LT(worst, 1e-4);
    }
  }
}

// Two prompts with three and two responses; one response begins with a token without a loss.
TEST(Gradient, SharedPromptsPointAtTheSamePredictions) {
  const std::vector<std::vector<data::TokenId>> tokens = {
      {1, 5, 9, 2, 7}, {4, 4, 6}, {1, 5, 9, 8, 3, 2}, {1, 5, 9, 9}, {4, 4, 1, 2}};
  const std::vector<std::vector<uint8_t>> masks = {
      {0, 0, 0, 1, 1}, {0, 0, 1}, {0, 0, 0, 0, 1, 1}, {0, 0, 0, 1}, {0, 0, 1, 1}};
  const std::vector<int> prompts = {3, 2, 3, 3, 2};
  std::vector<PassRow> rows;
  for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({tokens[i], masks[i], prompts[i]});
  auto weights = tiny_weights();
  const auto compute = model::make_compute(weights, {});
  ASSERT_TRUE(compute->pass_size(0).share_prompts);
  std::map<size_t, std::vector<float>> expected;
  for (const int64_t max_tokens : {100, 7, 1}) {
    for (const bool share : {false, true}) {
      std::map<size_t, std::vector<float>> got;
      int64_t packed = 0, unshared = 0;
      for (const MicroBatch& micro :
           make_micro_batches(rows, {.tokens = max_tokens, .share_prompts = share})) {
        const auto out = compute->logprobs(micro.predictions(1.0), {});
        for (size_t r = 0; r < micro.rows.size(); ++r) {
          const auto values = micro.of_row(r, std::span(out.logprobs));
          got[micro.rows[r]].assign(values.begin(), values.end());
        }
        packed += micro.batch.total();
        unshared += micro.unshared;
      }
      EXPECT_EQ(unshared, 4 + 2 + 5 + 3 + 3);
      if (!share) EXPECT_EQ(packed, unshared);
      if (share && max_tokens == 100) EXPECT_EQ(packed, unshared - 2 * 3 - 2);
      if (expected.empty()) expected = got;
      ASSERT_EQ(got.size(), 5u);
      for (const auto& [row, logprobs] : got) {
        ASSERT_EQ(logprobs.size(), expected[row].size());
        for (size_t i = 0; i < logprobs.size(); ++i)
          EXPECT_NEAR(logprobs[i], expected[row][i], 2e-6);
      }
    }
  }
}

TEST(Gradient, MicroBatchesKeepRowsWholeAndPointAtTheirPredictors) {
  const std::vector<std::vector<data::TokenId>> tokens = {{1, 5, 9, 2}, {3}, {8, 1, 6}, {7, 7}};
  const std::vector<std::vector<uint8_t>> masks = {{0, 0, 1, 0}, {1}, {0, 1, 1}, {0, 0}};
  std::vector<PassRow> rows;
  for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({tokens[i], masks[i]});
  const auto micros = make_micro_batches(rows, {.tokens = 3});
  // Rows 1 and 3 have nothing to predict; rows 0 and 2 need two tokens each.
  ASSERT_EQ(micros.size(), 2u);
  EXPECT_EQ(micros[0].rows, std::vector<size_t>{0});
  EXPECT_EQ(micros[0].targets, std::vector<int32_t>{9});
  EXPECT_EQ(micros[0].predictors, std::vector<int64_t>{1});
  EXPECT_EQ(micros[0].batch.total(), 2);
  EXPECT_EQ(micros[1].targets, (std::vector<int32_t>{1, 6}));
  EXPECT_EQ(micros[1].predictors, (std::vector<int64_t>{0, 1}));
  const auto together = make_micro_batches(rows, {.tokens = 100});
  ASSERT_EQ(together.size(), 1u);
  EXPECT_EQ(together[0].predictors, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(together[0].begins, (std::vector<size_t>{0, 1, 3}));
}

// A prompt of six tokens with responses of six; a response's last token predicts nothing.
TEST(Gradient, RowsOfOnePromptMayFillMoreThanAPass) {
  const std::vector<data::TokenId> tokens = {1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16};
  const std::vector<uint8_t> mask = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  const std::vector<PassRow> rows(5, PassRow{tokens, mask, 6});
  const auto sizes = [&](const model::PassSize& size) {
    std::vector<int64_t> out;
    for (const MicroBatch& micro : make_micro_batches(rows, size))
      out.push_back(micro.batch.total());
    return out;
  };
  EXPECT_EQ(sizes({.tokens = 12, .share_prompts = true}), (std::vector<int64_t>(5, 11)));
  EXPECT_EQ(sizes({.tokens = 12, .prompts = 3, .share_prompts = true}),
            (std::vector<int64_t>{16, 16, 11}));
  EXPECT_EQ(sizes({.tokens = 12, .prompts = 100, .share_prompts = true}),
            (std::vector<int64_t>{31}));
  EXPECT_EQ(sizes({.tokens = 12, .prompts = 100}), (std::vector<int64_t>(5, 11)));
}

}  // namespace
}  // namespace longshot::train
