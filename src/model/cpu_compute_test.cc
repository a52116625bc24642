#include "model/cpu_compute.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/norm.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "model/testing.h"
#include "model/torch/torch_compute.h"

namespace longshot::model {
namespace {

// A prompt and the responses that continue it.
struct Prompt {
  std::vector<int32_t> tokens;
  std::vector<std::vector<int32_t>> responses;
};

std::vector<Prompt> prompts() {
  return {{random_tokens(21, 1), {random_tokens(9, 2), random_tokens(1, 3), random_tokens(40, 4)}},
          {random_tokens(130, 5), {random_tokens(200, 6)}},
          {random_tokens(5, 7), {random_tokens(3, 8), random_tokens(17, 9)}}};
}

// The batch and the targets of every response token. The prompt is shared or repeated for each
// response.
struct Problem {
  PackedBatch batch;
  std::vector<int64_t> predictors;
  std::vector<int32_t> targets;
  std::vector<float> grad;
};

Problem problem_of(const std::vector<Prompt>& prompts, bool share) {
  Problem p;
  CounterRng rng(3);
  for (const Prompt& prompt : prompts) {
    int first = -1;
    for (const auto& response : prompt.responses) {
      std::vector<int32_t> tokens = prompt.tokens;
      tokens.insert(tokens.end(), response.begin(), response.end() - 1);
      const auto length = static_cast<int64_t>(prompt.tokens.size());
      if (!share) {
        const int64_t begin = p.batch.total();
        p.batch.append(tokens);
        for (size_t t = 0; t < response.size(); ++t)
          p.predictors.push_back(begin + length - 1 + static_cast<int64_t>(t));
      } else {
        if (first < 0) {
          first = static_cast<int>(p.batch.sequences());
          p.batch.append(prompt.tokens);
        }
        const int64_t begin = p.batch.total();
        p.batch.append(std::span(tokens).subspan(prompt.tokens.size()), first);
        p.predictors.push_back(p.batch.boundaries[first + 1] - 1);
        for (size_t t = 1; t < response.size(); ++t)
          p.predictors.push_back(begin + static_cast<int64_t>(t) - 1);
      }
      p.targets.insert(p.targets.end(), response.begin(), response.end());
    }
  }
  for (size_t i = 0; i < p.targets.size(); ++i)
    p.grad.push_back(static_cast<float>(rng.next_normal()));
  return p;
}

struct Result {
  TokenLogprobs out;
  std::vector<at::Tensor> gradients;
};

constexpr double kTemperature = 0.7;

Result through_libtorch(const std::string& type, const Problem& p,
                        NumberFormat products = NumberFormat::f32) {
  Weights weights = tiny_weights(type);
  TorchCompute compute(weights, products);
  Result r;
  r.out = compute.logprobs({p.batch, p.predictors, p.targets, kTemperature},
                           {.with_entropy = true, .for_backward = true});
  compute.backward(p.grad);
  for (const NamedTensor& w : weights.tensors()) r.gradients.push_back(w.tensor.grad());
  return r;
}

constexpr NumberFormat kProducts[] = {NumberFormat::f32, NumberFormat::bf16};

Result through_kernels(const std::string& type, const Problem& p, cpu::Checkpointing checkpointing,
                       int threads, std::span<const float> expected = {},
                       NumberFormat products = NumberFormat::f32) {
  Weights weights = tiny_weights(type);
  CpuCompute compute(weights,
                     {.threads = threads, .products = products, .checkpointing = checkpointing});
  Result r;
  for (int pass = 0; pass < 2; ++pass) {  // the second pass reuses the memory of the first
    weights.zero_grad();
    r.out = compute.logprobs(
        {p.batch, p.predictors, p.targets, kTemperature},
        {.with_entropy = true, .for_backward = true, .expected_gradient = expected});
    compute.backward(p.grad);
  }
  for (const NamedTensor& w : weights.tensors()) r.gradients.push_back(w.tensor.grad());
  return r;
}

// The largest difference between the gradients of one weight, as a share of its largest gradient.
double relative_difference(const Result& a, const Result& b) {
  double worst = 0;
  for (size_t i = 0; i < a.gradients.size(); ++i) {
    const double scale = b.gradients[i].abs().max().item<double>();
    worst = std::max(worst, (a.gradients[i] - b.gradients[i]).abs().max().item<double>() / scale);
  }
  return worst;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(double{a[i]} - b[i]));
  return worst;
}

bool equal(const Result& a, const Result& b) {
  bool same = a.out.logprobs == b.out.logprobs;
  for (size_t i = 0; i < a.gradients.size(); ++i)
    same = same && a.gradients[i].equal(b.gradients[i]);
  return same;
}

class EveryModel : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(CpuCompute, EveryModel,
                         ::testing::Values("llama", "qwen2", "qwen3", "mistral", "windows", "yarn",
                                           "qwen3_moe", "mixtral", "olmo2", "granite", "smollm3",
                                           "phi3", "glm4", "gemma2", "gemma3_text"),
                         [](const auto& info) { return info.param; });

TEST_P(EveryModel, GradientsAreThoseOfLibtorchWithoutSharingOrCheckpoints) {
  // Libtorch computes angles in f32. Gemma 3's second rope has large ones, and YaRN's are larger
  // than those of the others.
  const std::string& name = GetParam();
  const double tolerance = name == "gemma3_text" ? 5e-5 : name == "yarn" ? 2e-5 : 1e-5;
  const Result reference = through_libtorch(GetParam(), problem_of(prompts(), false));
  for (const bool share : {false, true}) {
    const Problem p = problem_of(prompts(), share);
    const Result ours = through_kernels(GetParam(), p, cpu::Checkpointing::none, 2);
    const double logprob = largest_difference(ours.out.logprobs, reference.out.logprobs),
                 entropy = largest_difference(ours.out.entropy, reference.out.entropy),
                 gradient = relative_difference(ours, reference);
    std::printf(
        "%s, prompts %s: largest difference of log-probabilities %.1e, entropies %.1e, gradients "
        "(relative) %.1e\n",
        GetParam().c_str(), share ? "shared" : "repeated", logprob, entropy, gradient);
    EXPECT_LT(logprob, tolerance);
    EXPECT_LT(entropy, tolerance);
    EXPECT_LT(gradient, tolerance);
  }
}

TEST_P(EveryModel, CheckpointingAndThreadsChangeNoBit) {
  const Problem p = problem_of(prompts(), true);
  for (const NumberFormat products : kProducts) {
    const auto run = [&](cpu::Checkpointing checkpointing, int threads) {
      return through_kernels(GetParam(), p, checkpointing, threads, {}, products);
    };
    const Result kept = run(cpu::Checkpointing::none, 1);
    for (const auto checkpointing :
         {cpu::Checkpointing::none, cpu::Checkpointing::selective, cpu::Checkpointing::full}) {
      for (const int threads : {1, 2, 5}) EXPECT_TRUE(equal(run(checkpointing, threads), kept));
    }
  }
}

// The norm of the difference between gradients, as a share of their norm: for each weight, and for
// all together.
struct Distance {
  std::vector<double> each;
  double all = 0;
};
Distance distance(const Result& a, const Result& b) {
  Distance out;
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.gradients.size(); ++i) {
    const double d = (a.gradients[i] - b.gradients[i]).norm().item<double>(),
                 n = b.gradients[i].norm().item<double>();
    out.each.push_back(d / n);
    difference += d * d, size += n * n;
  }
  out.all = std::sqrt(difference / size);
  return out;
}

// These weights are wide on purpose: attention is far from uniform, so rounding has more effect
// than in a trained model.
TEST_P(EveryModel, Bf16ProductsGiveNearlyTheGradientsOfF32) {
  const Problem shared = problem_of(prompts(), true), repeated = problem_of(prompts(), false);
  const Result exact = through_kernels(GetParam(), shared, cpu::Checkpointing::none, 2),
               ours = through_kernels(GetParam(), shared, cpu::Checkpointing::none, 2, {},
                                      NumberFormat::bf16),
               peer = through_libtorch(GetParam(), repeated, NumberFormat::bf16);
  const Distance off = distance(ours, exact), peer_off = distance(peer, exact);
  const Weights weights = tiny_weights(GetParam());
  // Rounded inputs of a router choose other experts for a few tokens, and with these random experts
  // that changes much, in libtorch as well.
  const bool experts = weights.config().experts.count > 0;
  for (size_t i = 0; i < off.each.size(); ++i) {
    const std::string& name = weights.tensors()[i].name;
    std::printf("%-48s off by %.4f, libtorch's %.4f\n", name.c_str(), off.each[i],
                peer_off.each[i]);
    EXPECT_GT(off.each[i], 1e-5) << name;
    EXPECT_LT(off.each[i], experts ? 0.6 : 0.06) << name;
  }
  const double logprob = largest_difference(ours.out.logprobs, exact.out.logprobs);
  std::printf("%s: log-probabilities off by at most %.1e, all gradients by %.4f, libtorch's %.4f\n",
              GetParam().c_str(), logprob, off.all, peer_off.all);
  EXPECT_GT(logprob, 1e-5);
  EXPECT_LT(logprob, experts ? 2 : 0.1);
  EXPECT_LT(off.all, experts ? 0.3 : 0.04);
  // Libtorch also rounds the results of the products. With norms after the layers that makes no
  // difference.
  const bool little = weights.config().facts.norm_after() || experts;
  EXPECT_LT(off.all, little ? 1.3 * peer_off.all : peer_off.all);
}

TEST_P(EveryModel, AnExpectedGradientGivesTheSameRightOrWrong) {
  const Problem p = problem_of(prompts(), true);
  const Result twice = through_kernels(GetParam(), p, cpu::Checkpointing::none, 2),
               once = through_kernels(GetParam(), p, cpu::Checkpointing::none, 2, p.grad);
  EXPECT_EQ(once.out.logprobs, twice.out.logprobs);
  EXPECT_EQ(once.out.entropy, twice.out.entropy);
  EXPECT_LT(relative_difference(once, twice), 1e-6);
  EXPECT_TRUE(equal(once, through_kernels(GetParam(), p, cpu::Checkpointing::full, 1, p.grad)));
  std::vector<float> wrong = p.grad;
  for (size_t i = 0; i < wrong.size(); i += 3) wrong[i] = 0.5F - wrong[i];
  const Result corrected = through_kernels(GetParam(), p, cpu::Checkpointing::none, 2, wrong);
  const double difference = relative_difference(corrected, twice);
  std::printf("%s: gradients after a wrong expectation, largest relative difference %.1e\n",
              GetParam().c_str(), difference);
  EXPECT_LT(difference, 1e-5);
}

TEST_P(EveryModel, LogprobsDoNotDependOnTheOthersInTheBatch) {
  const auto all = prompts();
  const Problem together = problem_of(all, true);
  Weights weights = tiny_weights(GetParam());
  for (const NumberFormat products : kProducts) {
    CpuCompute compute(weights, {.threads = 2, .products = products});
    const auto logprobs = [&](const Problem& p) {
      return compute.logprobs({p.batch, p.predictors, p.targets}, {}).logprobs;
    };
    std::vector<float> alone;
    for (const Prompt& prompt : all) {
      for (const auto& response : prompt.responses) {
        const auto part = logprobs(problem_of({{prompt.tokens, {response}}}, true));
        alone.insert(alone.end(), part.begin(), part.end());
      }
    }
    EXPECT_EQ(alone, logprobs(together));
  }
}

// The forecast covers everything that a pass allocates, and little more.
class Forecast : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(CpuCompute, Forecast,
                         ::testing::Values("qwen3", "granite", "gemma2", "qwen3_moe"),
                         [](const auto& info) { return info.param; });

TEST_P(Forecast, OfActivationsIsWhatAPassAllocates) {
  ModelConfig config = architecture(GetParam());
  config.hidden_size = 192;
  config.intermediate_size = 512;
  config.head_dim = 48;
  config.vocab_size = 4096;
  const Weights plain = Weights::random(config, 1, "cpu");
  const Problem p = problem_of({{random_tokens(300, 1), {random_tokens(2100, 2)}}}, false);
  for (const auto checkpointing :
       {cpu::Checkpointing::none, cpu::Checkpointing::selective, cpu::Checkpointing::full}) {
    for (const int rank : {0, 32}) {
      if (rank > 0 && GetParam() != "qwen3") continue;
      Weights weights = plain.clone();
      if (rank > 0)
        weights.add_adapter(
            new_adapter(config, {.rank = rank}, *adapter_modules(config, {"all-linear"}), 1));
      const CpuCompute::Options options{.checkpointing = checkpointing};
      CpuCompute compute(weights, options);
      compute.logprobs({p.batch, p.predictors, p.targets},
                       {.for_backward = true, .expected_gradient = p.grad});
      compute.backward(p.grad);
      const auto forecast = static_cast<double>(CpuCompute::forecast_bytes(
          config, options, p.batch.total(), static_cast<int64_t>(p.targets.size()), rank));
      const auto allocated = static_cast<double>(compute.activation_bytes());
      std::printf("mode %d, rank %d: %.2f MB forecast, %.2f MB allocated\n",
                  static_cast<int>(checkpointing), rank, forecast / 1e6, allocated / 1e6);
      EXPECT_GE(forecast, 0.99 * allocated);
      EXPECT_LE(forecast, 1.01 * allocated);
    }
  }
}

TEST(CpuCompute, GradientsOfEntropiesEqualThoseOfLibtorch) {
  for (const char* type : {"llama", "qwen3", "granite", "gemma2", "qwen3_moe"}) {
    const Problem p = problem_of(prompts(), /*share=*/true);
    const Problem repeated = problem_of(prompts(), /*share=*/false);
    std::vector<float> entropy_grad;
    CounterRng rng(11);
    for (size_t i = 0; i < p.targets.size(); ++i)
      entropy_grad.push_back(static_cast<float>(rng.next_normal()));
    Weights weights = tiny_weights(type), plain = tiny_weights(type);
    CpuCompute ours(weights, {.threads = 2});
    TorchCompute theirs(plain, NumberFormat::f32);
    Result a, b;
    (void)ours.logprobs({p.batch, p.predictors, p.targets, kTemperature},
                        {.with_entropy = true, .for_backward = true});
    ours.backward(p.grad, entropy_grad);
    (void)theirs.logprobs({repeated.batch, repeated.predictors, repeated.targets, kTemperature},
                          {.with_entropy = true, .for_backward = true});
    theirs.backward(p.grad, entropy_grad);
    for (const NamedTensor& w : weights.tensors()) a.gradients.push_back(w.tensor.grad());
    for (const NamedTensor& w : plain.tensors()) b.gradients.push_back(w.tensor.grad());
    const double worst = relative_difference(a, b);
    std::printf("%s: largest difference of a gradient with entropies %.1e of its largest\n", type,
                worst);
    EXPECT_LT(worst, 2e-5);
    // Without the entropies the gradient is another one.
    EXPECT_GT(relative_difference(a, through_kernels(type, p, cpu::Checkpointing::none, 2)), 1e-2);
  }
}

}  // namespace
}  // namespace longshot::model
