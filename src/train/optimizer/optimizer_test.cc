#include "train/optimizer/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>

#include "base/os/fs.h"
#include "base/rng.h"
#include "model/format/safetensors.h"
#include "train/optimizer/undo.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

constexpr NumberFormat kMomentFormats[] = {NumberFormat::f32, NumberFormat::bf16,
                                           NumberFormat::int8};

using testing::HasSubstr;

constexpr const char* kMatrix = "model.embed_tokens.weight";  // [32, 16]
constexpr const char* kVector = "model.norm.weight";          // [16]

OptimizerOptions options(double clip, double weight_decay) {
  OptimizerOptions o;
  o.lr = 0.01;
  o.beta1 = 0.9;
  o.beta2 = 0.95;
  o.eps = 1e-8;
  o.clip_grad = clip;
  o.weight_decay = weight_decay;
  return o;
}

template <typename F>
at::Tensor from_function(const at::Tensor& like, F value) {
  std::vector<float> values;
  for (int64_t i = 0; i < like.numel(); ++i)
    values.push_back(static_cast<float>(value(static_cast<double>(i))));
  return at::tensor(values, at::TensorOptions().dtype(at::kFloat)).view(like.sizes());
}

void zero_gradients(model::Weights& weights) {
  for (auto& named : weights.tensors())
    named.tensor.mutable_grad() = at::zeros_like(named.tensor).detach();
}

void random_gradients(model::Weights& weights, uint64_t seed) {
  CounterRng rng(seed);
  for (auto& named : weights.tensors()) {
    named.tensor.mutable_grad() =
        from_function(named.tensor, [&](double) { return rng.next_normal(); });
  }
}

at::Tensor& tensor(model::Weights& weights, const std::string& name) {
  for (auto& named : weights.tensors()) {
    if (named.name == name) return named.tensor;
  }
  LS_CHECK(false, name);
}

std::vector<at::Tensor> state_of(const model::Weights& weights, const AdamW& optimizer) {
  std::vector<at::Tensor> copies;
  for (const auto& named : weights.tensors()) copies.push_back(named.tensor.detach().clone());
  for (const at::Tensor& moment : optimizer.moment_tensors()) copies.push_back(moment.clone());
  return copies;
}

// An update of two steps is taken back; the steps after it are those of a run without it.
TEST(Undo, TakesStepsBackToTheBit) {
  for (const bool moments : {true, false}) {
    for (const NumberFormat format : kMomentFormats) {
      model::Weights weights = tiny_weights();
      OptimizerOptions o = options(1.0, 0.1);
      o.moments = format;
      AdamW optimizer(weights, o, 10);
      random_gradients(weights, 1);
      ASSERT_TRUE(optimizer.step(weights).ok());
      const auto before = state_of(weights, optimizer);
      Undo undo;
      undo.take(weights, optimizer, moments);
      if (!moments) optimizer.reset();
      for (const uint64_t seed : {2, 3}) {
        random_gradients(weights, seed);
        ASSERT_TRUE(optimizer.step(weights).ok());
      }
      undo.restore(weights, optimizer);
      EXPECT_EQ(optimizer.schedule_steps(), 1);
      const auto after = state_of(weights, optimizer);
      for (size_t i = 0; i < before.size(); ++i) {
        const bool cleared = !moments && i >= weights.tensors().size();
        EXPECT_TRUE(at::equal(after[i], cleared ? at::zeros_like(after[i]) : before[i]))
            << name_of(format) << i;
      }
    }
  }
}

// Three steps of torch.optim.AdamW (torch 2.13) on a [32, 16] matrix sin(i) with gradients 0.1
// cos(i (t + 1)), and a vector cos(i) of 16, not decayed, with gradients 0.2 sin(i + t);
// clip_grad_norm_ over both.
struct Golden {
  double clip, weight_decay;
  std::vector<double> matrix;  // elements 0, 1, 17, 511
  std::vector<double> vector;  // elements 0, 1, 15
};
const std::vector<Golden> kGolden = {{0,
                                      0.1,
                                      {-0.0299700089, 0.83307004, -0.938157678, 0.89850533},
                                      {0.984168172, 0.511789441, -0.76915282}},
                                     {1,
                                      0.1,
                                      {-0.0299692508, 0.833059251, -0.938142836, 0.89852041},
                                      {0.984168053, 0.511791348, -0.769165516}},
                                     {0,
                                      0,
                                      {-0.0299999975, 0.83557111, -0.941009879, 0.901177883},
                                      {0.984168172, 0.511789441, -0.76915282}}};

TEST(AdamW, MatchesTorchOptimAdamW) {
  double worst = 0;
  for (const auto& golden : kGolden) {
    auto weights = tiny_weights();
    at::Tensor &matrix = tensor(weights, kMatrix), &vector = tensor(weights, kVector);
    {
      const at::NoGradGuard no_grad;
      matrix.copy_(from_function(matrix, [](double i) { return std::sin(i); }));
      vector.copy_(from_function(vector, [](double i) { return std::cos(i); }));
    }
    AdamW adam(weights, options(golden.clip, golden.weight_decay), 100);
    double norm = 0;
    for (int t = 0; t < 3; ++t) {
      zero_gradients(weights);
      matrix.mutable_grad() =
          from_function(matrix, [t](double i) { return 0.1 * std::cos(i * (t + 1)); });
      vector.mutable_grad() =
          from_function(vector, [t](double i) { return 0.2 * std::sin(i + t); });
      const auto step = adam.step(weights);
      ASSERT_TRUE(step.ok());
      norm = step->grad_norm;
    }
    EXPECT_NEAR(norm, 1.7015, 1e-4);
    const auto compare = [&](const at::Tensor& got, int64_t index, double expected) {
      const double difference = std::abs(got.detach().flatten()[index].item<double>() - expected);
      worst = std::max(worst, difference);
      EXPECT_LT(difference, 2e-7) << index;
    };
    for (size_t i = 0; i < 4; ++i)
      compare(matrix, std::vector<int64_t>{0, 1, 17, 511}[i], golden.matrix[i]);
    for (size_t i = 0; i < 3; ++i)
      compare(vector, std::vector<int64_t>{0, 1, 15}[i], golden.vector[i]);
  }
  std::printf("AdamW against torch.optim.AdamW after 3 steps: largest difference %.1e\n", worst);
}

// libtorch's own AdamW kernel on the same gradients, 20 steps, all weights of a model.
TEST(AdamW, MatchesLibtorchsFusedKernelOnAllWeights) {
  auto weights = tiny_weights(), other = tiny_weights();
  AdamW adam(weights, options(0, 0.1), 100);
  std::vector<at::Tensor> first, second;
  for (auto& named : other.tensors()) {
    first.push_back(at::zeros_like(named.tensor).detach());
    second.push_back(at::zeros_like(named.tensor).detach());
  }
  for (int t = 1; t <= 20; ++t) {
    random_gradients(weights, t);
    random_gradients(other, t);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < other.tensors().size(); ++i) {
      at::Tensor w = other.tensors()[i].tensor;
      at::_fused_adamw_({w}, {w.grad()}, {first[i]}, {second[i]}, {},
                        {at::full({}, t, at::TensorOptions().dtype(at::kFloat))}, 0.01, 0.9, 0.95,
                        w.dim() > 1 ? 0.1 : 0.0, 1e-8, false, false);
    }
    ASSERT_TRUE(adam.step(weights).ok());
  }
  const double difference = largest_difference(weights, other);
  std::printf("AdamW against the fused kernel after 20 steps: largest difference %.1e\n",
              difference);
  EXPECT_LT(difference, 1e-6);
  EXPECT_GT(largest_difference(weights, tiny_weights()), 0.01);
}

TEST(AdamW, NormsAndBiasesDoNotDecay) {
  auto weights = tiny_weights();
  AdamW adam(weights, options(0, 0.5), 100);
  zero_gradients(weights);
  ASSERT_TRUE(adam.step(weights).ok());
  const auto before = tiny_weights();
  for (size_t i = 0; i < weights.tensors().size(); ++i) {
    const auto& [name, now] = weights.tensors()[i];
    EXPECT_EQ(now.detach().equal(before.tensors()[i].tensor.detach()), now.dim() == 1) << name;
  }
}

TEST(AdamW, ClipsTheGlobalNormAndReportsItUnclipped) {
  auto clipped = tiny_weights(), free = tiny_weights();
  AdamW a(clipped, options(1e-3, 0), 100), b(free, options(0, 0), 100);
  random_gradients(clipped, 1);
  random_gradients(free, 1);
  double squares = 0;
  for (auto& named : free.tensors()) squares += named.tensor.grad().pow(2).sum().item<double>();
  const auto step = a.step(clipped);
  ASSERT_TRUE(step.ok());
  EXPECT_NEAR(step->grad_norm, std::sqrt(squares), 1e-3);
  ASSERT_TRUE(b.step(free).ok());
  EXPECT_FALSE(equal(clipped, free));
}

TEST(AdamW, ANonFiniteGradientSkipsTheStepAndNamesTheTensor) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto weights = tiny_weights(), twin = tiny_weights();
    AdamW adam(weights, options(1, 0.1), 100), twin_adam(twin, options(1, 0.1), 100);
    random_gradients(weights, 1);
    tensor(weights, kVector).mutable_grad()[3].fill_(bad);
    const auto step = adam.step(weights);
    ASSERT_TRUE(step.ok());
    EXPECT_TRUE(step->skipped);
    EXPECT_EQ(step->non_finite_name, kVector);
    EXPECT_EQ(adam.skipped_steps(), 1);
    EXPECT_TRUE(equal(weights, twin));
    random_gradients(weights, 2);
    random_gradients(twin, 2);
    ASSERT_TRUE(adam.step(weights).ok());
    ASSERT_TRUE(twin_adam.step(twin).ok());
    EXPECT_TRUE(equal(weights, twin)) << "the skipped step must leave no trace in the moments";
  }
}

TEST(AdamW, AWeightWithoutAGradientIsAnErrorThatNamesIt) {
  auto weights = tiny_weights();
  AdamW adam(weights, options(1, 0), 100);
  random_gradients(weights, 1);
  tensor(weights, kVector).mutable_grad().reset();
  EXPECT_THAT(adam.step(weights).status().message(), HasSubstr(kVector));
}

TEST(AdamW, ResetForgetsTheMomentsButNotTheSchedule) {
  auto weights = tiny_weights(), fresh = tiny_weights();
  OptimizerOptions o = options(0, 0);
  AdamW adam(weights, o, 100), fresh_adam(fresh, o, 100);
  random_gradients(weights, 1);
  ASSERT_TRUE(adam.step(weights).ok());
  adam.reset();
  EXPECT_EQ(adam.schedule_steps(), 1);
  {
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < fresh.tensors().size(); ++i) {
      fresh.tensors()[i].tensor.copy_(weights.tensors()[i].tensor);
    }
  }
  random_gradients(weights, 2);
  random_gradients(fresh, 2);
  ASSERT_TRUE(adam.step(weights).ok());
  ASSERT_TRUE(fresh_adam.step(fresh).ok());
  EXPECT_TRUE(equal(weights, fresh));
}

// A model large enough that its matrices have 8-bit moments.
model::Weights wide_weights() {
  model::ModelConfig c = tiny_llama();
  c.hidden_size = 64;
  c.num_heads = 8;
  c.intermediate_size = 96;
  c.vocab_size = 128;
  return model::Weights::random(c, 1, "cpu");
}

TEST(AdamW, MomentsInFewBitsFollowF32) {
  auto start = wide_weights();
  std::map<NumberFormat, model::Weights> trained;
  for (const NumberFormat format : kMomentFormats) {
    auto weights = wide_weights();
    OptimizerOptions o = options(1, 0.1);
    o.moments = format;
    AdamW adam(weights, o, 100);
    for (int t = 1; t <= 20; ++t) {
      random_gradients(weights, t);
      ASSERT_TRUE(adam.step(weights).ok());
    }
    const auto parameters = static_cast<double>(model::parameter_count(weights.config()));
    std::printf("%s: %.2f bytes of moments a parameter\n", name_of(format),
                static_cast<double>(adam.moment_bytes()) / parameters);
    EXPECT_NEAR(static_cast<double>(adam.moment_bytes()) / parameters,
                format == NumberFormat::f32    ? 8
                : format == NumberFormat::bf16 ? 4
                                               : 2.03,
                format == NumberFormat::int8 ? 0.7 : 1e-9);
    trained.emplace(format, std::move(weights));
  }
  const auto mean_difference = [](const model::Weights& a, const model::Weights& b) {
    double sum = 0, count = 0;
    for (size_t i = 0; i < a.tensors().size(); ++i) {
      const at::Tensor x = a.tensors()[i].tensor.detach(), y = b.tensors()[i].tensor.detach();
      sum += x.sub(y).abs().sum().item<double>();
      count += static_cast<double>(x.numel());
    }
    return sum / count;
  };
  const double moved = mean_difference(trained.at(NumberFormat::f32), start);
  const double bf16 =
                   mean_difference(trained.at(NumberFormat::bf16), trained.at(NumberFormat::f32)) /
                   moved,
               int8 =
                   mean_difference(trained.at(NumberFormat::int8), trained.at(NumberFormat::f32)) /
                   moved;
  std::printf("after 20 steps off by %.4f (bfloat16) and %.4f (int8) of the way\n", bf16, int8);
  EXPECT_GT(bf16, 0);
  EXPECT_LT(bf16, 0.01);
  EXPECT_GT(int8, 0);
  EXPECT_LT(int8, 0.06);
}

TEST(AdamW, MomentsInFewBitsAreRestoredAndGoOnBitForBit) {
  const auto directory = scratch_directory("longshot_optimizer_bits_test");
  for (const NumberFormat format : kMomentFormats) {
    std::filesystem::remove_all(directory);
    OptimizerOptions o = options(1, 0);
    o.moments = format;
    auto weights = wide_weights();
    AdamW adam(weights, o, 100);
    adam.reset();
    random_gradients(weights, 1);
    ASSERT_TRUE(adam.step(weights).ok());
    ASSERT_TRUE(adam.save(directory.string()).ok());
    auto other = weights.clone();
    AdamW resumed(other, o, 100);
    const Status loaded = resumed.load(directory.string());
    ASSERT_TRUE(loaded.ok()) << loaded.message();
    for (int t = 2; t < 5; ++t) {
      random_gradients(weights, t);
      random_gradients(other, t);
      ASSERT_TRUE(adam.step(weights).ok());
      ASSERT_TRUE(resumed.step(other).ok());
    }
    EXPECT_TRUE(equal(weights, other)) << name_of(format);
    o.moments = format == NumberFormat::int8 ? NumberFormat::bf16 : NumberFormat::int8;
    AdamW mistaken(other, o, 100);
    EXPECT_THAT(mistaken.load(directory.string()).message(), HasSubstr("optim.moments"));
  }
  std::filesystem::remove_all(directory);
}

TEST(AdamW, OnlyWeightsThatLearnHaveMomentsAndMove) {
  auto weights = tiny_weights(), before = tiny_weights();
  ASSERT_TRUE(weights.freeze({kMatrix}).ok());
  AdamW adam(weights, options(0, 0.1), 100);
  EXPECT_EQ(adam.moment_bytes(), 8 * weights.trained_parameters());
  random_gradients(weights, 1);
  tensor(weights, kMatrix).mutable_grad().reset();
  ASSERT_TRUE(adam.step(weights).ok());
  EXPECT_TRUE(tensor(weights, kMatrix).equal(tensor(before, kMatrix)));
  EXPECT_FALSE(tensor(weights, kVector).equal(tensor(before, kVector)));
}

TEST(AdamW, AStateOfWrongShapeOrWithAMissingTensorIsAnErrorThatNamesIt) {
  const auto directory = scratch_directory("longshot_optimizer_state_test");
  std::filesystem::remove_all(directory);
  auto weights = tiny_weights();
  AdamW adam(weights, options(1, 0), 100);
  ASSERT_TRUE(adam.save(directory.string()).ok());
  const std::string path = (directory / "optimizer.safetensors").string();

  std::vector<model::SafetensorsArray> arrays;
  const std::vector<float> zeros(32 * 16 * 64, 0.0f);
  for (const auto& named : weights.tensors()) {
    arrays.push_back(
        {"exp_avg/" + named.name, model::Dtype::f32, named.tensor.sizes().vec(), zeros.data()});
    arrays.push_back(
        {"exp_avg_sq/" + named.name, model::Dtype::f32, named.tensor.sizes().vec(), zeros.data()});
  }
  auto misshapen = arrays, renamed = arrays;
  misshapen[1].shape = {16, 32};
  ASSERT_TRUE(model::write_safetensors(path, misshapen).ok());
  EXPECT_THAT(adam.load(directory.string()).message(), HasSubstr(misshapen[1].name));
  renamed[0].name = "exp_avg/elsewhere";
  ASSERT_TRUE(model::write_safetensors(path, renamed).ok());
  EXPECT_THAT(adam.load(directory.string()).message(), HasSubstr(arrays[0].name));
  ASSERT_TRUE(model::write_safetensors(path, arrays).ok());
  EXPECT_TRUE(adam.load(directory.string()).ok());
  ASSERT_TRUE(write_file_durable(directory / "trainer.json", "{}").ok());
  EXPECT_THAT(adam.load(directory.string()).message(), HasSubstr("schedule_steps"));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace longshot::train
