#include "model/torch/forward.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "model/testing.h"
#include "model/torch/cached_forward.h"
#include "model/torch/logprob.h"
#include "model/torch/runtime.h"

namespace longshot::model {
namespace {

// MKL reads its settings at the first matrix product of the process.
class ThreadIndependentCompute : public testing::Environment {
  void SetUp() override { configure_compute(2); }
};
const testing::Environment* const kCompute =
    testing::AddGlobalTestEnvironment(new ThreadIndependentCompute);

class EveryArchitecture : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Forward, EveryArchitecture,
                         testing::Values("llama", "qwen2", "qwen3", "mistral", "windows", "yarn",
                                         "qwen3_moe", "mixtral", "olmo2", "granite", "smollm3",
                                         "phi3", "glm4", "gemma2", "gemma3_text"));

// Lengths in mixed order that give padded, unpadded and single-sequence buckets.
std::vector<std::vector<int32_t>> sequences() {
  std::vector<std::vector<int32_t>> all;
  for (int length : {33, 5, 30, 1, 17, 31, 17, 64}) {
    all.push_back(random_tokens(length, 100 + all.size()));
  }
  return all;
}

PackedBatch pack(const std::vector<std::vector<int32_t>>& all) {
  PackedBatch batch;
  for (const auto& sequence : all) batch.append(sequence);
  return batch;
}

float max_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<float>();
}

TEST_P(EveryArchitecture, PackedEqualsSeparate) {
  at::NoGradGuard no_grad;
  const Weights weights = tiny_weights(GetParam());
  const auto all = sequences();
  const PackedBatch batch = pack(all);
  const at::Tensor packed = hidden_states(weights, batch);
  float worst = 0;
  for (size_t s = 0; s < all.size(); ++s) {
    const at::Tensor alone = hidden_states(weights, pack({all[s]}));
    worst = std::max(
        worst,
        max_difference(packed.slice(0, batch.boundaries[s], batch.boundaries[s + 1]), alone));
  }
  std::printf("%s: packed - separate, max |difference| %.3g\n", GetParam(), worst);
  EXPECT_LT(worst, 2e-5);
}

// The products of an expert have as many rows as tokens chose it, and libtorch rounds products of
// different sizes differently on some processors.
void expect_same(const at::Tensor& a, const at::Tensor& b, const char* model_type) {
  if (architecture(model_type).experts.count == 0)
    EXPECT_TRUE(a.equal(b));
  else
    EXPECT_LT(max_difference(a, b), 2e-5);
}

TEST_P(EveryArchitecture, OtherSequencesCannotInfluenceARow) {
  at::NoGradGuard no_grad;
  const Weights weights = tiny_weights(GetParam());
  auto all = sequences();
  const PackedBatch batch = pack(all);
  const at::Tensor before = hidden_states(weights, batch);
  for (size_t s = 1; s < all.size(); ++s) all[s] = random_tokens(all[s].size(), 900 + s);
  const at::Tensor after = hidden_states(weights, pack(all));
  const int64_t rows = batch.boundaries[1];
  expect_same(before.slice(0, 0, rows), after.slice(0, 0, rows), GetParam());
  EXPECT_FALSE(before.equal(after));
}

TEST_P(EveryArchitecture, LaterTokensCannotInfluenceEarlierOnes) {
  at::NoGradGuard no_grad;
  const Weights weights = tiny_weights(GetParam());
  std::vector<int32_t> tokens = random_tokens(40, 3);
  const at::Tensor before = hidden_states(weights, pack({tokens}));
  tokens[25] = (tokens[25] + 1) % 61;
  const at::Tensor after = hidden_states(weights, pack({tokens}));
  expect_same(before.slice(0, 0, 25), after.slice(0, 0, 25), GetParam());
  EXPECT_GT(max_difference(before.slice(0, 25, 26), after.slice(0, 25, 26)), 1e-3);
}

TEST_P(EveryArchitecture, CachedEqualsFull) {
  at::NoGradGuard no_grad;
  const Weights weights = tiny_weights(GetParam());
  const auto all = sequences();
  const PackedBatch batch = pack(all);
  const at::Tensor full = hidden_states(weights, batch);
  KvCache cache = make_kv_cache(weights.config(), 4 * static_cast<int>(all.size()) + 4, 16, "cpu");
  std::vector<std::vector<int>> blocks(all.size());  // room for 64 tokens each, in a mixed order
  for (size_t s = 0; s < all.size(); ++s) {
    const int first = static_cast<int>(all.size() - s) * 4;
    blocks[s] = {first + 2, first, first + 3, first + 1};
  }
  std::vector<size_t> done(all.size(), 0);
  float worst = 0;
  for (size_t round = 0; round < 64; ++round) {
    // A prompt of half the sequence, then one token in each call. The sequences are at different
    // positions.
    std::vector<CachedStep> steps;
    std::vector<int64_t> rows;
    for (size_t s = 0; s < all.size(); ++s) {
      const size_t width = done[s] == 0 ? (all[s].size() + 1) / 2 : 1;
      if (done[s] + width > all[s].size()) continue;
      const int wanted = width >= 3 ? 3 : static_cast<int>(round + s) % 2;
      steps.push_back({blocks[s], static_cast<int>(done[s]),
                       std::span(all[s]).subspan(done[s], width), wanted});
      done[s] += width;
      for (int back = wanted; back > 0; --back)
        rows.push_back(batch.boundaries[s] + static_cast<int64_t>(done[s]) - back);
    }
    if (steps.empty()) break;
    const at::Tensor hidden = cached_hidden(weights, cache, steps);
    ASSERT_EQ(hidden.size(0), static_cast<int64_t>(rows.size()));
    for (size_t i = 0; i < rows.size(); ++i) {
      worst = std::max(worst, max_difference(hidden[static_cast<int64_t>(i)], full[rows[i]]));
    }
  }
  for (size_t s = 0; s < all.size(); ++s) EXPECT_EQ(done[s], all[s].size());
  std::printf("%s: cached - full, max |difference| %.3g\n", GetParam(), worst);
  EXPECT_LT(worst, 2e-5);
}

TEST(CachedForward, ACopiedBlockContinuesTheSequence) {
  const Weights weights = tiny_weights("llama");
  const std::vector<int32_t> prompt = random_tokens(19, 1), other = random_tokens(12, 2);
  const std::vector<int32_t> next = {17};
  const std::vector<int> first = {0, 1}, second = {0, 2}, third = {3};
  KvCache cache = make_kv_cache(weights.config(), 4, 16, "cpu");
  cached_hidden(weights, cache, std::vector<CachedStep>{{first, 0, prompt}, {third, 0, other}});
  copy_block(cache, 1, 2);
  const at::Tensor hidden =
      cached_hidden(weights, cache, std::vector<CachedStep>{{first, 19, next}, {second, 19, next}});
  EXPECT_LT(max_difference(hidden[0], hidden[1]), 1e-5);  // rows of one GEMM may round differently
}

// Gradients of a random linear function of all log-probabilities.
std::vector<at::Tensor> gradients(const char* model_type) {
  Weights weights = tiny_weights(model_type);
  const PackedBatch batch = pack(sequences());
  const at::Tensor hidden = hidden_states(weights, batch);
  std::vector<float> grad;
  CounterRng rng(4);
  for (int64_t i = 0; i < batch.total(); ++i) grad.push_back(rng.next_normal());
  const std::vector<int32_t> targets = random_tokens(static_cast<int>(batch.total()), 8);
  hidden.backward(token_logprobs_backward(hidden.detach(), head_weight(weights), targets, 0.7,
                                          {grad},
                                          /*chunk_rows=*/50));
  std::vector<at::Tensor> result;
  for (const NamedTensor& named : weights.tensors()) {
    EXPECT_TRUE(named.tensor.grad().defined()) << named.name;
    result.push_back(named.tensor.grad().clone());
  }
  return result;
}

TEST_P(EveryArchitecture, GradientsAreTheSameBitsOnEveryRunAndThreadCount) {
  const std::vector<at::Tensor> first = gradients(GetParam()), second = gradients(GetParam());
  at::set_num_threads(1);
  const std::vector<at::Tensor> single = gradients(GetParam());
  at::set_num_threads(2);
  // On some processors libtorch's tanh, which caps scores, rounds by where a thread's part ends.
  const bool rounds = architecture(GetParam()).attention_softcap > 0;
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_TRUE(first[i].equal(second[i])) << "tensor " << i;
    if (rounds) {
      EXPECT_LT(max_difference(first[i], single[i]), 1e-5 * first[i].abs().max().item<double>());
    } else {
      EXPECT_TRUE(first[i].equal(single[i])) << "tensor " << i << ", 1 and 2 threads";
    }
    EXPECT_GT(first[i].abs().max().item<float>(), 0) << "tensor " << i;
  }
}

TEST(PackedBatch, PairsAreThoseThatSeeEachOtherOnAverageOverTheLayers) {
  PackedBatch batch;
  batch.append(random_tokens(9, 1));
  batch.append(random_tokens(4, 2), 0);
  batch.append(random_tokens(3, 3));
  for (const char* name : {"llama", "windows", "mistral"}) {
    const ModelConfig config = architecture(name);
    double pairs = 0;
    for (int layer = 0; layer < config.num_layers; ++layer) {
      const int window = config.window_of(layer) > 0 ? config.window_of(layer) : 1000;
      for (const int32_t position : batch.positions) pairs += std::min(position + 1, window);
    }
    EXPECT_DOUBLE_EQ(batch.pairs(config), pairs / config.num_layers) << name;
  }
}

TEST(PackedBatch, AppendRestartsPositions) {
  PackedBatch batch;
  EXPECT_EQ(batch.sequences(), 0);
  batch.append(std::vector<int32_t>{4, 5, 6});
  batch.append(std::vector<int32_t>{7, 8});
  EXPECT_EQ(batch.positions, (std::vector<int32_t>{0, 1, 2, 0, 1}));
  EXPECT_EQ(batch.boundaries, (std::vector<int64_t>{0, 3, 5}));
  EXPECT_EQ(batch.sequences(), 2);
}

// Products in bf16 give results near those of f32 but not equal, and the gradients reach the f32
// weights.
TEST(Forward, Bf16ProductsAreNearF32AndTrainTheF32Weights) {
  Weights exact = tiny_weights("llama"), rounded = tiny_weights("llama");
  rounded.set_bf16_products(true);
  PackedBatch batch;
  batch.append(random_tokens(40, 1));
  const at::Tensor a = hidden_states(exact, batch), b = hidden_states(rounded, batch);
  ASSERT_EQ(b.scalar_type(), at::kFloat);
  const double scale = a.detach().abs().max().item<double>(),
               difference = (a.detach() - b.detach()).abs().max().item<double>() / scale;
  std::printf("bfloat16 products: hidden states off by at most %.2g of the largest\n", difference);
  EXPECT_GT(difference, 1e-5);
  EXPECT_LT(difference, 0.1);
  a.sum().backward();
  b.sum().backward();
  for (size_t i = 0; i < exact.tensors().size(); ++i) {
    const auto& [name, tensor] = rounded.tensors()[i];
    // an output head that is not tied, which hidden_states() does not use
    if (!exact.tensors()[i].tensor.grad().defined()) continue;
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_EQ(tensor.grad().scalar_type(), at::kFloat) << name;
  }
}

}  // namespace
}  // namespace longshot::model
