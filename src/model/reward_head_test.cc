#include "model/reward_head.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

#include "model/cpu_compute.h"
#include "model/testing.h"
#include "model/torch/forward.h"
#include "model/torch/layers.h"
#include "model/torch/torch_compute.h"

namespace longshot::model {
namespace {

constexpr int kPadding = 60;

Weights reward_model(const std::string& type, bool wide = true) {
  ModelConfig config = architecture(type);
  config.score_head = true;
  config.pad_token_id = kPadding;
  return wide ? wide_weights(config, 3) : Weights::random(config, 3, "cpu");
}

std::vector<std::vector<int32_t>> sequences() {
  return {random_tokens(21, 1, 60), random_tokens(1, 2, 60), random_tokens(150, 3, 60),
          random_tokens(7, 4, 60), random_tokens(64, 5, 60)};
}

ScoreBatch batch_of(const std::vector<std::vector<int32_t>>& sequences) {
  ScoreBatch batch(kPadding, /*share_prompts=*/true);
  for (const auto& s : sequences) batch.append(s);
  return batch;
}

const std::vector<float> kGrad = {0.5F, -1.25F, 2.0F, 0.0F, -0.75F};

struct Result {
  std::vector<float> scores;
  std::vector<at::Tensor> gradients;
};

// Scores from libtorch's own product, differentiated by autograd.
Result by_autograd(const std::string& type) {
  Weights weights = reward_model(type);
  PackedBatch batch;
  std::vector<int64_t> rows;
  for (const auto& s : sequences()) {
    batch.append(s);
    rows.push_back(batch.total() - 1);
  }
  const at::Tensor hidden = hidden_states(weights, batch);
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

using Kept = cpu::Checkpointing;

std::unique_ptr<Compute> kernels(Weights& weights, int threads, Kept kept = Kept::none) {
  return std::make_unique<CpuCompute>(
      weights, CpuCompute::Options{.threads = threads, .checkpointing = kept});
}

std::unique_ptr<Compute> libtorch(Weights& weights) {
  return std::make_unique<TorchCompute>(weights, NumberFormat::f32);
}

Result by_pass(Compute& compute, const ScoreBatch& batch = batch_of(sequences()),
               const std::vector<float>& grad = kGrad) {
  ScorePass pass(compute, batch, /*for_backward=*/true);
  pass.backward(grad);
  Result r{pass.scores(), {}};
  for (const NamedTensor& w : compute.weights().tensors()) r.gradients.push_back(w.tensor.grad());
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
    Weights ours = reward_model(type), theirs = reward_model(type), again = reward_model(type);
    const Result none = by_pass(*kernels(ours, 2)), full = by_pass(*kernels(again, 2, Kept::full));
    for (const auto& [name, result] :
         {std::pair{"kernels", none}, {"libtorch", by_pass(*libtorch(theirs))}}) {
      const double d = difference(result, expected);
      std::printf("%s, %s: %.1e\n", type, name, d);
      EXPECT_LT(d, 1e-4);
    }
    EXPECT_EQ(difference(full, none), 0);
  }
}

using Sequence = std::vector<int32_t>;
using Pair = std::pair<Sequence, Sequence>;

Sequence joined(Sequence a, const Sequence& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Prompts of all lengths; responses that are empty, padded, or only padding; and a pair with
// nothing in common.
std::vector<Pair> pairs() {
  const Sequence padding(3, kPadding);
  std::vector<Pair> out;
  int seed = 10;
  for (const int prompt : {1, 15, 16, 70, 200}) {
    const Sequence p = random_tokens(prompt, ++seed, 60);
    out.push_back(
        {joined(p, random_tokens(40, ++seed, 60)), joined(p, random_tokens(7, ++seed, 60))});
    out.push_back({p, joined(p, random_tokens(20, ++seed, 60))});
    out.push_back({joined(joined(p, random_tokens(9, ++seed, 60)), padding), joined(p, padding)});
  }
  out.push_back({random_tokens(12, 5, 30), random_tokens(12, 6, 30)});
  out.back().second[0] = out.back().first[0] + 1;
  return out;
}

// The largest difference of the scores, relative to the largest score; the relative difference of
// the whole gradient; the largest relative difference of one weight's gradient.
struct Differences {
  double scores = 0, gradient = 0, weight = 0;
};
Differences relative_differences(const Result& a, const Result& b) {
  Differences d;
  double largest = 0, squared = 0, total = 0;
  for (size_t i = 0; i < a.scores.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(b.scores[i])));
    d.scores = std::max(d.scores, std::fabs(static_cast<double>(a.scores[i]) - b.scores[i]));
  }
  d.scores /= largest;
  for (size_t i = 0; i < a.gradients.size(); ++i) {
    const at::Tensor exact = b.gradients[i].to(at::kDouble);
    const double difference = (a.gradients[i].to(at::kDouble) - exact).norm().item<double>(),
                 norm = exact.norm().item<double>();
    d.weight = std::max(d.weight, difference / norm);
    squared += difference * difference;
    total += norm * norm;
  }
  d.gradient = std::sqrt(squared / total);
  return d;
}

TEST(ScorePass, PairsThatShareTheirPromptEqualPairsThatDoNot) {
  ScoreBatch shared(kPadding, true), apart(kPadding, false);
  std::vector<float> grad;
  for (const auto& [first, second] : pairs()) {
    shared.append_pair(first, second);
    apart.append_pair(first, second);
    grad.push_back(0.1F * static_cast<float>(grad.size() % 7) - 0.25F);
    grad.push_back(-grad.back());
  }
  EXPECT_EQ(shared.unshared(), apart.packed().total());
  EXPECT_EQ(apart.packed().total() - shared.packed().total(), 3 * (1 + 15 + 16 + 70 + 200));
  // Wide weights make attention sharp, which magnifies rounding, also that of the kernels against
  // autograd.
  for (const auto& [wide, bound] : {std::pair{false, 1e-6}, {true, 4e-6}}) {
    for (const char* type : {"llama", "qwen2", "qwen3"}) {
      const auto run = [&](Kept kept, const ScoreBatch& batch) {
        Weights weights = reward_model(type, wide);
        return by_pass(*kernels(weights, 2, kept), batch, grad);
      };
      const Result a = run(Kept::none, shared);
      const Differences d = relative_differences(a, run(Kept::none, apart));
      std::printf("%s%s: scores %.1e, gradient %.1e, one weight's %.1e\n", type,
                  wide ? ", wide weights" : "", d.scores, d.gradient, d.weight);
      ASSERT_EQ(a.scores.size(), grad.size());
      EXPECT_LT(d.scores, bound);
      EXPECT_LT(d.gradient, bound);
      EXPECT_LT(d.weight, 1e-5);
      EXPECT_EQ(difference(run(Kept::full, shared), a), 0);
    }
  }
}

TEST(ScorePass, AScoreIsTheSameBitsWhateverElseIsInTheBatch) {
  Weights weights = reward_model("qwen3");
  const auto all = sequences();
  for (const int threads : {1, 2}) {
    const auto compute = kernels(weights, threads);
    const auto together = sequence_scores(*compute, all, 10000);
    const auto apart = sequence_scores(*compute, all, 1);
    EXPECT_EQ(together, apart);
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_EQ(sequence_scores(*compute, {all[i]}, 64)[0], together[i]) << i;
  }
}

TEST(ScorePass, PaddingAfterASequenceChangesNothing) {
  Weights weights = reward_model("llama");
  const auto compute = kernels(weights, 1);
  auto padded = sequences();
  for (auto& s : padded) s.insert(s.end(), 3, kPadding);
  EXPECT_EQ(sequence_scores(*compute, padded, 100), sequence_scores(*compute, sequences(), 100));
}

TEST(ScorePass, AFrozenHeadGetsNoGradient) {
  Weights weights = reward_model("llama");
  ASSERT_TRUE(weights.freeze({"score.*"}).ok());
  const auto compute = kernels(weights, 1);
  const ScoreBatch batch = batch_of(sequences());
  ScorePass(*compute, batch, /*for_backward=*/true).backward(kGrad);
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
