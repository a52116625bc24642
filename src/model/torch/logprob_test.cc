#include "model/torch/logprob.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "base/rng.h"
#include "model/testing.h"
#include "model/torch/layers.h"

namespace longshot::model {
namespace {

constexpr int64_t kRows = 37, kWidth = 24, kVocab = 211;

at::Tensor normal(std::vector<int64_t> shape, uint64_t key, double scale) {
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  CounterRng rng(key);
  float* data = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i)
    data[i] = static_cast<float>(scale * rng.next_normal());
  return tensor;
}

// The same quantities from full logits in f64 through autograd.
struct Reference {
  at::Tensor logprobs, entropy, grad_hidden, grad_head;
};

Reference reference(const at::Tensor& hidden, const at::Tensor& head,
                    const std::vector<int32_t>& targets, double temperature,
                    const std::vector<float>& grad_logprobs,
                    const std::vector<float>& grad_entropy = {}) {
  const at::Tensor h = hidden.to(at::kDouble).clone().requires_grad_(true);
  const at::Tensor w = head.detach().to(at::kDouble).clone().requires_grad_(true);
  const at::Tensor log_p = at::log_softmax(at::matmul(h, w.t()) / temperature, -1);
  const at::Tensor ids = index_tensor({targets.begin(), targets.end()}, at::kCPU).unsqueeze(1);
  const at::Tensor chosen = log_p.gather(1, ids).squeeze(1);
  at::Tensor g = at::zeros_like(chosen.detach());
  for (int64_t i = 0; i < kRows; ++i) g.mutable_data_ptr<double>()[i] = grad_logprobs[i];
  const at::Tensor entropy = -(log_p.exp() * log_p).sum(-1);
  at::Tensor loss = (chosen * g).sum();
  for (size_t i = 0; i < grad_entropy.size(); ++i)
    loss = loss + entropy[static_cast<int64_t>(i)] * static_cast<double>(grad_entropy[i]);
  loss.backward();
  return {chosen.detach(), entropy.detach(), h.grad(), w.grad()};
}

double max_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b).abs().max().item<double>();
}

double max_difference(const std::vector<float>& a, const at::Tensor& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b.const_data_ptr<double>()[i]));
  }
  return worst;
}

class AtTemperature : public testing::TestWithParam<double> {};
INSTANTIATE_TEST_SUITE_P(Logprob, AtTemperature, testing::Values(1.0, 0.6, 1.7));

TEST_P(AtTemperature, ChunkedValuesAndGradientsEqualFullLogitsInDoublePrecision) {
  const at::Tensor hidden = normal({kRows, kWidth}, 1, 1.0);
  at::Tensor head = normal({kVocab, kWidth}, 2, 0.5).requires_grad_(true);
  const std::vector<int32_t> targets = random_tokens(kRows, 3, kVocab);
  std::vector<float> grad(kRows);
  CounterRng rng(4);
  for (float& g : grad) g = static_cast<float>(rng.next_normal());
  const Reference expected = reference(hidden, head, targets, GetParam(), grad);

  for (int64_t chunk_rows : {int64_t{1}, int64_t{8}, int64_t{512}}) {
    head.mutable_grad() = at::Tensor();
    const TokenLogprobs actual =
        token_logprobs(hidden, head, targets, GetParam(), /*with_entropy=*/true, chunk_rows);
    const at::Tensor grad_hidden =
        token_logprobs_backward(hidden, head, targets, GetParam(), {grad}, chunk_rows);
    const double value = max_difference(actual.logprobs, expected.logprobs);
    const double entropy = max_difference(actual.entropy, expected.entropy);
    const double g_hidden = max_difference(grad_hidden, expected.grad_hidden);
    const double g_head = max_difference(head.grad(), expected.grad_head);
    std::printf(
        "temperature %.1f, chunk %ld: max |difference| logprob %.3g entropy %.3g "
        "d hidden %.3g d head %.3g\n",
        GetParam(), static_cast<long>(chunk_rows), value, entropy, g_hidden, g_head);
    ASSERT_EQ(actual.logprobs.size(), static_cast<size_t>(kRows));
    ASSERT_EQ(actual.entropy.size(), static_cast<size_t>(kRows));
    EXPECT_LT(value, 1e-5);
    EXPECT_LT(entropy, 1e-5);
    EXPECT_LT(g_hidden, 1e-5);
    EXPECT_LT(g_head, 1e-5);
  }
}

TEST_P(AtTemperature, GradientsOfEntropiesEqualThoseOfAutogradInDoublePrecision) {
  const at::Tensor hidden = normal({kRows, kWidth}, 1, 1.0);
  at::Tensor head = normal({kVocab, kWidth}, 2, 0.5).requires_grad_(true);
  const std::vector<int32_t> targets = random_tokens(kRows, 3, kVocab);
  std::vector<float> grad(kRows), entropy_grad(kRows);
  CounterRng rng(4);
  for (float& g : grad) g = static_cast<float>(rng.next_normal());
  for (float& g : entropy_grad) g = static_cast<float>(rng.next_normal());
  const Reference expected = reference(hidden, head, targets, GetParam(), grad, entropy_grad);
  for (const int64_t chunk_rows : {int64_t{8}, int64_t{512}}) {
    head.mutable_grad() = at::Tensor();
    const at::Tensor grad_hidden = token_logprobs_backward(hidden, head, targets, GetParam(),
                                                           {grad, entropy_grad}, chunk_rows);
    const double g_hidden = max_difference(grad_hidden, expected.grad_hidden),
                 g_head = max_difference(head.grad(), expected.grad_head);
    std::printf("temperature %.1f: max |difference| d hidden %.3g d head %.3g\n", GetParam(),
                g_hidden, g_head);
    EXPECT_LT(g_hidden, 1e-5);
    EXPECT_LT(g_head, 1e-5);
  }
}

TEST(Logprob, BackwardAddsToAnExistingHeadGradient) {
  const at::Tensor hidden = normal({5, kWidth}, 1, 1.0);
  at::Tensor head = normal({kVocab, kWidth}, 2, 0.5).requires_grad_(true);
  const std::vector<int32_t> targets = random_tokens(5, 3, kVocab);
  const std::vector<float> grad = {1, -1, 2, 0, 0.5};
  token_logprobs_backward(hidden, head, targets, 1.0, {grad});
  const at::Tensor once = head.grad().clone();
  token_logprobs_backward(hidden, head, targets, 1.0, {grad});
  EXPECT_LT((head.grad() - once * 2).abs().max().item<float>(), 1e-6);
}

TEST(Logprob, EntropyIsOnlyComputedWhenAskedFor) {
  const at::Tensor hidden = normal({5, kWidth}, 1, 1.0), head = normal({kVocab, kWidth}, 2, 0.5);
  EXPECT_TRUE(token_logprobs(hidden, head, random_tokens(5, 3), 1.0, false).entropy.empty());
}

TEST(Logprob, NoRowsGiveNoValues) {
  const at::Tensor hidden = normal({0, kWidth}, 1, 1.0);
  at::Tensor head = normal({kVocab, kWidth}, 2, 0.5).requires_grad_(true);
  EXPECT_TRUE(token_logprobs(hidden, head, {}, 1.0, false).logprobs.empty());
  EXPECT_EQ(token_logprobs_backward(hidden, head, {}, 1.0, {}).size(0), 0);
}

}  // namespace
}  // namespace longshot::model
