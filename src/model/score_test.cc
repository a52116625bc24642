#include "model/score.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "model/layers.h"
#include "model/test_models.h"

namespace longshot::model {
namespace {

constexpr int kPadding = 60;

Weights reward_model(const std::string& type) {
  ModelConfig config = tiny_config(type);
  config.score_head = true;
  config.pad_token_id = kPadding;
  return wide_weights(config, 3);
}

std::vector<std::vector<int32_t>> sequences() {
  return {random_tokens(21, 1, 60), random_tokens(1, 2, 60), random_tokens(150, 3, 60),
          random_tokens(7, 4, 60), random_tokens(64, 5, 60)};
}

PackedBatch packed(const std::vector<std::vector<int32_t>>& sequences) {
  PackedBatch batch;
  for (const auto& s : sequences) batch.append(s);
  return batch;
}

const std::vector<float> kGrad = {0.5F, -1.25F, 2.0F, 0.0F, -0.75F};

struct Result {
  std::vector<float> scores;
  std::vector<at::Tensor> gradients;
};

// A head made of libtorch's own product and differentiated by it.
Result by_autograd(const std::string& type) {
  Weights weights = reward_model(type);
  std::vector<int64_t> rows;
  for (const int64_t end : packed(sequences()).boundaries) rows.push_back(end - 1);
  rows.erase(rows.begin());
  const at::Tensor hidden = hidden_states(weights, packed(sequences()));
  const at::Tensor scores = at::matmul(hidden.index_select(0, index_tensor(rows, at::kCPU)),
                                       weights.at("score.weight").t());
  at::Tensor grad = scores.detach().clone();
  for (size_t i = 0; i < kGrad.size(); ++i) grad[static_cast<int64_t>(i)].fill_(kGrad[i]);
  scores.backward(grad);
  Result r;
  const float* values = scores.const_data_ptr<float>();
  r.scores.assign(values, values + scores.numel());
  for (const NamedTensor& w : weights.tensors()) r.gradients.push_back(w.tensor.grad());
  return r;
}

Result by_pass(const std::string& type, bool kernels, cpu::Checkpointing checkpointing) {
  Weights weights = reward_model(type);
  CpuCompute compute(weights.config(), 2);
  const PackedBatch batch = packed(sequences());
  ScorePass pass(kernels ? &compute : nullptr, weights, batch, checkpointing);
  pass.backward(kGrad);
  Result r{pass.scores(), {}};
  for (const NamedTensor& w : weights.tensors()) r.gradients.push_back(w.tensor.grad());
  return r;
}

double difference(const Result& a, const Result& b) {
  double worst = 0;
  for (size_t i = 0; i < a.scores.size(); ++i)
    worst = std::max(worst, std::fabs(static_cast<double>(a.scores[i]) - b.scores[i]));
  for (size_t i = 0; i < a.gradients.size(); ++i) {
    const double scale = b.gradients[i].abs().max().item<double>();
    worst = std::max(worst, (a.gradients[i] - b.gradients[i]).abs().max().item<double>() / scale);
  }
  return worst;
}

TEST(ScorePass, ScoresAndGradientsEqualAutograd) {
  for (const char* type : {"llama", "qwen2", "qwen3"}) {
    const Result expected = by_autograd(type);
    ASSERT_EQ(expected.scores.size(), kGrad.size());
    ASSERT_EQ(expected.gradients.size(), reward_model(type).tensors().size());
    for (const bool kernels : {true, false}) {
      const double d = difference(by_pass(type, kernels, cpu::Checkpointing::none), expected);
      std::printf("%s, %s: %.1e\n", type, kernels ? "kernels" : "libtorch", d);
      EXPECT_LT(d, 1e-4);
    }
    const auto full = by_pass(type, true, cpu::Checkpointing::full);
    EXPECT_EQ(difference(full, by_pass(type, true, cpu::Checkpointing::none)), 0);
  }
}

TEST(ScorePass, AScoreIsTheSameBitsWhateverElseIsInTheBatch) {
  Weights weights = reward_model("qwen3");
  const auto all = sequences();
  for (const int threads : {1, 2}) {
    CpuCompute compute(weights.config(), threads);
    const auto together = sequence_scores(&compute, weights, all, 10000);
    const auto apart = sequence_scores(&compute, weights, all, 1);
    EXPECT_EQ(together, apart);
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_EQ(sequence_scores(&compute, weights, {all[i]}, 64)[0], together[i]) << i;
  }
}

TEST(ScorePass, PaddingAfterASequenceChangesNothing) {
  Weights weights = reward_model("llama");
  CpuCompute compute(weights.config(), 1);
  auto padded = sequences();
  for (auto& s : padded) s.insert(s.end(), 3, kPadding);
  EXPECT_EQ(sequence_scores(&compute, weights, padded, 100),
            sequence_scores(&compute, weights, sequences(), 100));
}

TEST(ScorePass, AFrozenHeadGetsNoGradient) {
  Weights weights = reward_model("llama");
  ASSERT_TRUE(weights.freeze({"score.*"}).ok());
  CpuCompute compute(weights.config(), 1);
  const PackedBatch batch = packed(sequences());
  ScorePass(&compute, weights, batch).backward(kGrad);
  EXPECT_FALSE(weights.at("score.weight").grad().defined());
  EXPECT_TRUE(weights.at("model.norm.weight").grad().defined());
}

TEST(ScoredPosition, IsTheLastTokenThatIsNotPadding) {
  const std::vector<int32_t> tokens = {9, 5, 9, 9};
  EXPECT_EQ(scored_position(tokens, std::nullopt), 3);
  EXPECT_EQ(scored_position(tokens, 5), 3);
  EXPECT_EQ(scored_position(tokens, 9), 1);
  EXPECT_EQ(scored_position(std::vector<int32_t>{9, 9}, 9), 0);
}

TEST(ScoreProbability, IsTheLogisticFunction) {
  EXPECT_DOUBLE_EQ(score_probability(0), 0.5);
  EXPECT_NEAR(score_probability(2), 0.8807970779778823, 1e-15);
  EXPECT_NEAR(score_probability(-2), 1 - score_probability(2), 1e-15);
}

}  // namespace
}  // namespace longshot::model
