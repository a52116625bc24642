#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "model/cpu_compute.h"
#include "model/testing.h"
#include "model/torch/torch_compute.h"

namespace longshot::model {
namespace {

using testing::HasSubstr;

constexpr double kTemperature = 0.7;

// Two sequences in which every token is a target.
struct Problem {
  PackedBatch batch;
  std::vector<int64_t> predictors;
  std::vector<int32_t> targets;
  std::vector<float> grad;
};

Problem problem() {
  Problem p;
  CounterRng rng(3);
  for (const int length : {30, 9}) {
    const auto tokens = random_tokens(length, static_cast<uint64_t>(length));
    for (int t = 1; t < length; ++t) {
      p.predictors.push_back(p.batch.total() + t - 1);
      p.targets.push_back(tokens[static_cast<size_t>(t)]);
      p.grad.push_back(static_cast<float>(rng.next_normal()));
    }
    p.batch.append(tokens);
  }
  return p;
}

Weights adapted(const std::string& type, const std::vector<std::string>& targets, int rank = 3) {
  Weights weights = tiny_weights(type);
  const auto modules = adapter_modules(weights.config(), targets);
  Adapter adapter = new_adapter(weights.config(), {.rank = rank, .alpha = 5}, *modules, 1);
  CounterRng rng(4);
  for (AdapterPair& pair : adapter.pairs) {
    for (float& v : pair.b) v = static_cast<float>(0.3 * rng.next_normal());
  }
  weights.add_adapter(adapter);
  return weights;
}

// Every module has a different rank and a different alpha.
Weights adapted_unevenly(const std::string& type) {
  Weights weights = tiny_weights(type);
  Adapter adapter{{.rank = 3, .alpha = 5}, "", {}, {}};
  CounterRng rng(5);
  int i = 0;
  for (const std::string& module : *adapter_modules(weights.config(), {"all-linear"})) {
    const LoraOptions lora{.rank = 1 + i % 20, .alpha = 2.0 + i % 3, .rslora = i % 2 == 0};
    adapter.pairs.push_back(new_adapter(weights.config(), lora, {module}, 1).pairs.front());
    for (float& v : adapter.pairs.back().b) v = static_cast<float>(0.3 * rng.next_normal());
    ++i;
  }
  weights.add_adapter(adapter);
  return weights;
}

// The model with its adapter merged, in leaf tensors of its own.
Weights merged(const Weights& weights) {
  std::vector<at::Tensor> host;
  std::vector<HostTensor> tensors;
  for (const TensorView& t : weights.view(0, host).tensors) {
    int64_t count = 1;
    for (const int64_t extent : t.shape) count *= extent;
    tensors.push_back({t.name, t.shape, {t.data, t.data + count}});
  }
  return *Weights::from_host(weights.config(), tensors, "cpu");
}

std::vector<float> through_libtorch(Weights& weights, const Problem& p) {
  TorchCompute compute(weights, NumberFormat::f32);
  auto out =
      compute.logprobs({p.batch, p.predictors, p.targets, kTemperature}, {.for_backward = true});
  compute.backward(p.grad);
  return out.logprobs;
}

std::vector<float> through_kernels(Weights& weights, const Problem& p,
                                   cpu::Checkpointing checkpointing) {
  CpuCompute compute(weights, {.threads = 2, .checkpointing = checkpointing});
  auto out =
      compute.logprobs({p.batch, p.predictors, p.targets, kTemperature}, {.for_backward = true});
  compute.backward(p.grad);
  return out.logprobs;
}

double largest(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max<double>(worst, std::abs(a[i] - b[i]));
  return worst;
}

// The largest relative difference between the gradients of trained weights. Weights that are not
// trained must have no gradient.
double gradient_difference(const Weights& a, const Weights& b) {
  double worst = 0;
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    const at::Tensor &x = a.tensors()[i].tensor, &y = b.tensors()[i].tensor;
    EXPECT_EQ(x.grad().defined(), x.requires_grad()) << a.tensors()[i].name;
    EXPECT_EQ(y.grad().defined(), y.requires_grad()) << a.tensors()[i].name;
    if (!x.grad().defined() || !y.grad().defined()) continue;
    const double scale = y.grad().abs().max().item<double>();
    EXPECT_GT(scale, 0) << a.tensors()[i].name;
    worst = std::max(worst, (x.grad() - y.grad()).abs().max().item<double>() / scale);
  }
  return worst;
}

TEST(Adapters, LogProbabilitiesAreThoseOfTheMergedModel) {
  const Problem p = problem();
  for (const char* type :
       {"llama", "qwen2", "qwen3", "granite", "phi3", "glm4", "gemma2", "qwen3_moe"}) {
    Weights weights = adapted(type, {"all-linear"});
    Weights whole = merged(weights), plain = tiny_weights(type);
    const auto expected = through_libtorch(whole, p), libtorch = through_libtorch(weights, p),
               kernels = through_kernels(weights, p, cpu::Checkpointing::none);
    std::printf("%s: adapter beside the weights against merged: libtorch %.2g, kernels %.2g\n",
                type, largest(libtorch, expected), largest(kernels, expected));
    EXPECT_LT(largest(libtorch, expected), 2e-5);
    EXPECT_LT(largest(kernels, expected), 2e-5);
    EXPECT_GT(largest(through_libtorch(plain, p), expected), 0.01) << "the adapter does something";
  }
}

TEST(Adapters, GradientsOfTheKernelsAreLibtorchs) {
  const Problem p = problem();
  for (const char* type : {"llama", "qwen3"}) {
    for (const auto& targets :
         {std::vector<std::string>{"all-linear"}, {"q_proj"}, {"o_proj", "down_proj"}}) {
      for (const auto checkpointing :
           {cpu::Checkpointing::none, cpu::Checkpointing::selective, cpu::Checkpointing::full}) {
        Weights a = adapted(type, targets), b = adapted(type, targets);
        through_kernels(a, p, checkpointing);
        through_libtorch(b, p);
        const double worst = gradient_difference(a, b);
        std::printf("%s, adapters on %zu kinds: gradients, largest relative difference %.2g\n",
                    type, targets.size(), worst);
        EXPECT_LT(worst, 1e-5);
      }
    }
  }
}

// q, k and v read one matrix with one adapter, and so do gate and up.
TEST(Adapters, GradientsOfFusedMatricesAreLibtorchs) {
  const Problem p = problem();
  for (const auto& targets : {std::vector<std::string>{"all-linear"}, {"qkv_proj"}}) {
    for (const auto checkpointing : {cpu::Checkpointing::none, cpu::Checkpointing::full}) {
      Weights a = adapted("phi3", targets), b = adapted("phi3", targets);
      through_kernels(a, p, checkpointing);
      through_libtorch(b, p);
      EXPECT_LT(gradient_difference(a, b), 1e-5);
    }
  }
}

TEST(Adapters, EveryModuleHasItsOwnRankAndScale) {
  const Problem p = problem();
  for (const char* type : {"llama", "qwen2"}) {
    Weights a = adapted_unevenly(type), b = adapted_unevenly(type), whole = merged(a);
    const auto expected = through_libtorch(whole, p), libtorch = through_libtorch(b, p),
               kernels = through_kernels(a, p, cpu::Checkpointing::selective);
    const double worst = gradient_difference(a, b);
    std::printf("%s, ranks 1 to 20: libtorch %.2g, kernels %.2g, gradients %.2g\n", type,
                largest(libtorch, expected), largest(kernels, expected), worst);
    EXPECT_LT(largest(libtorch, expected), 2e-5);
    EXPECT_LT(largest(kernels, expected), 2e-5);
    EXPECT_LT(worst, 1e-5);
    const Adapter back = a.clone().adapter("base");
    EXPECT_EQ(back.lora, (LoraOptions{.rank = 3, .alpha = 5}));
    EXPECT_EQ(back.pairs[4].lora, (LoraOptions{.rank = 5, .alpha = 3, .rslora = true}));
    EXPECT_EQ(a.lora().rank, 20);
  }
}

TEST(Adapters, FrozenWeightsHaveNoGradientAndTheOthersTheSame) {
  const Problem p = problem();
  for (const auto& patterns : {std::vector<std::string>{"model.embed_tokens.*"},
                               {"model.embed_tokens.*", "model.layers.0.*", "model.layers.1.*"},
                               {"*norm.weight"},
                               {"model.embed_tokens.*", "model.layers.*", "model.norm.weight"}}) {
    Weights a = tiny_weights("llama"), b = tiny_weights("llama"), all = tiny_weights("llama");
    ASSERT_TRUE(a.freeze(patterns).ok());
    ASSERT_TRUE(b.freeze(patterns).ok());
    through_kernels(a, p, cpu::Checkpointing::none);
    through_libtorch(b, p);
    EXPECT_LT(gradient_difference(a, b), 1e-5);
    through_kernels(all, p, cpu::Checkpointing::none);
    for (size_t i = 0; i < a.tensors().size(); ++i) {
      const at::Tensor& grad = a.tensors()[i].tensor.grad();
      if (grad.defined()) EXPECT_TRUE(at::equal(grad, all.tensors()[i].tensor.grad()));
    }
  }
}

TEST(Adapters, OnlyTheAdapterLearnsAndACloneKeepsIt) {
  const Weights weights = adapted("llama", {"q_proj"}, 2);
  const ModelConfig& c = weights.config();
  EXPECT_EQ(weights.trained_parameters(),
            c.num_layers * 2 * (c.hidden_size + c.num_heads * c.head_dim));
  const Weights copy = weights.clone();
  EXPECT_EQ(copy.lora().rank, 2);
  EXPECT_EQ(copy.trained_parameters(), weights.trained_parameters());
  const Adapter a = weights.adapter("base"), b = copy.adapter("base");
  ASSERT_EQ(a.pairs.size(), 3U);
  EXPECT_EQ(a.pairs[2].module, "model.layers.2.self_attn.q_proj");
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(a.pairs[i].b, b.pairs[i].b);
}

Weights reward_model(const std::vector<float>& score) {
  ModelConfig config = architecture("llama");
  config.score_head = true;
  Weights weights = wide_weights(config, 1);
  Adapter adapter = new_adapter(config, {.rank = 2}, *adapter_modules(config, {"q_proj"}), 1);
  adapter.score = score;
  weights.add_adapter(adapter);
  return weights;
}

TEST(Adapters, TheScoreOfARewardModelLearnsToo) {
  const Weights fresh = reward_model({});
  const ModelConfig& c = fresh.config();
  EXPECT_EQ(fresh.trained_parameters(),
            c.hidden_size + c.num_layers * 2 * (c.hidden_size + c.num_heads * c.head_dim));
  EXPECT_TRUE(fresh.at("score.weight").equal(wide_weights(c, 1).at("score.weight")));
  const std::vector<float> score(c.hidden_size, 0.25F);
  Weights given = reward_model(score);
  EXPECT_EQ(given.adapter("base").score, score);
  EXPECT_TRUE(given.at("score.weight").requires_grad());
  ASSERT_TRUE(given.freeze({"score.*"}).ok());
  EXPECT_EQ(given.adapter("base").score, score);
  EXPECT_EQ(given.trained_parameters(), fresh.trained_parameters() - c.hidden_size);
}

TEST(Adapters, TheViewCopiesOnlyWhatIsAdapted) {
  const Weights weights = adapted("llama", {"q_proj"});
  std::vector<at::Tensor> host;
  const WeightsView view = weights.view(3, host);
  EXPECT_EQ(view.tensors.size(), expected_weights(weights.config()).size());
  EXPECT_EQ(host.size(), 3U);
  EXPECT_EQ(view.tensors[0].data, weights.tensors()[0].tensor.const_data_ptr<float>());
}

TEST(Freeze, SaysWhatIsWrongWithAPattern) {
  Weights weights = tiny_weights("llama");
  EXPECT_THAT(weights.freeze({"transformer.*"}).message(),
              AllOf(HasSubstr("transformer.*"), HasSubstr("model.embed_tokens.weight")));
  EXPECT_THAT(weights.freeze({"*"}).message(), HasSubstr("nothing can be trained"));
  Weights with_adapter = adapted("llama", {"q_proj"});
  EXPECT_THAT(with_adapter.freeze({"*.q_proj.*", "model.embed_tokens.*"}).message(),
              AllOf(HasSubstr("model.embed_tokens.*"), HasSubstr("already freezes")));
}

}  // namespace
}  // namespace longshot::model
