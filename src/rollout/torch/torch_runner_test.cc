#include "rollout/torch/torch_runner.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/torch/forward.h"
#include "model/torch/logprob.h"
#include "model/torch/runtime.h"
#include "model/weights.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"
#include "rollout/testing.h"

namespace longshot::rollout {
namespace {

std::vector<model::ModelConfig> architectures() {
  model::ModelConfig llama = small_config();
  llama.rope_scaling = model::RopeScaling::llama3(8, 1, 4, 64);
  model::ModelConfig qwen2 = small_config("qwen2");
  qwen2.tie_word_embeddings = false;
  model::ModelConfig qwen3 = small_config("qwen3");
  qwen3.head_dim = 32;
  model::ModelConfig biased = small_config();
  biased.qkv_bias = biased.attention_out_bias = biased.mlp_bias = true;
  model::ModelConfig mistral = small_config("mistral");
  mistral.sliding_window = 9;
  mistral.sliding_layers = {true, true, true};
  model::ModelConfig linear = small_config();
  linear.rope_scaling = model::RopeScaling{};
  linear.rope_scaling->factor = 3;
  model::ModelConfig dynamic = linear;  // plain up to max_position_embeddings, 512
  dynamic.rope_scaling->type = model::RopeScaling::Type::dynamic;
  std::vector<model::ModelConfig> all = {llama,  qwen2,  qwen3, biased, mistral, windowed_config(),
                                         linear, dynamic};
  for (const char* type : {"olmo2", "granite", "smollm3", "phi3", "glm4", "gemma2", "gemma3_text",
                           "qwen3_moe", "mixtral"})
    all.push_back(small_config(type));
  return all;
}

std::vector<data::Sample> jobs_for(const model::ModelConfig& config) {
  std::vector<data::Sample> jobs;
  for (int i = 0; i < 6; ++i) {
    data::Sample s;
    s.prompt_id = std::to_string(i / 2);
    s.index = i % 2;
    CounterRng rng(i / 2);
    for (int t = 0; t < 5 + 20 * (i / 2); ++t) {
      s.prompt_tokens.push_back(static_cast<int32_t>(rng.next_below(config.vocab_size)));
    }
    jobs.push_back(s);
  }
  return jobs;
}

// Largest |log-probability recorded while generating - log-probability of the full forward|.
// Adds the number of accepted guesses to `accepted`; without one, nothing is guessed.
double against_full_forward(std::unique_ptr<Runner> runner, const RandomModel& random,
                            double* accepted = nullptr) {
  const bool speculate = accepted != nullptr;
  EXPECT_TRUE(runner->load_weights(random.view).ok());
  Engine engine(std::move(runner), nullptr);
  EngineOptions options;
  options.sampling.max_response_length = 60;
  options.sampling.temperature = speculate ? 0.3 : 0.8;  // colder, so that guesses come true
  options.speculation = speculate ? Speculation::ngram : Speculation::off;
  const auto samples = *engine.generate(jobs_for(random.view.config), options);
  const double guessed = engine.metrics().at("rollout/accepted_tokens");
  if (speculate) *accepted += guessed;
  EXPECT_TRUE(speculate || guessed == 0);
  const model::Weights weights =
      *model::Weights::from_host(random.view.config, random.tensors, "cpu");
  const at::NoGradGuard no_grad;
  double worst = 0;
  for (const auto& s : samples) {
    std::vector<int32_t> all = s.prompt_tokens;
    all.insert(all.end(), s.tokens.begin(), s.tokens.end());
    model::PackedBatch batch;
    batch.append(all);
    const auto prompt = static_cast<int64_t>(s.prompt_tokens.size()),
               total = static_cast<int64_t>(all.size());
    const at::Tensor hidden = model::hidden_states(weights, batch).slice(0, prompt - 1, total - 1);
    const model::ModelConfig& c = random.view.config;
    const auto scored = model::token_logprobs(
        hidden, model::head_weight(weights), s.tokens,
        {options.sampling.temperature * c.logits_scaling, c.logit_softcap}, false);
    for (size_t i = 0; i < s.tokens.size(); ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(scored.logprobs[i]) - s.logprobs[i]));
    }
  }
  return worst;
}

TEST(Rollout, LogprobsAreThoseOfTheFullForward) {
  model::configure_compute(1);
  double accepted = 0;
  for (const auto& config : architectures()) {
    const auto random = random_model(config, 3);
    const double cpu = against_full_forward(make_cpu_runner({8, 256}, 1), *random);
    const double torch = against_full_forward(make_torch_runner({8, 256}, "cpu"), *random);
    const double guessed =
        against_full_forward(make_torch_runner({8, 256}, "cpu"), *random, &accepted);
    printf(
        "%s%s: largest log-probability difference: CPU kernels %.3g, libtorch %.3g, speculative "
        "%.3g\n",
        config.model_type.c_str(), config.mlp_bias ? " with biases" : "", cpu, torch, guessed);
    EXPECT_LT(cpu, 1e-5);
    EXPECT_LT(torch, 1e-5);
    EXPECT_LT(guessed, 3e-5);  // of logits divided by a smaller temperature
  }
  EXPECT_GT(accepted, 0);
}

TEST(TorchRunner, TakesNewWeights) {
  const auto one = random_model(small_config(), 1), two = random_model(small_config(), 2);
  auto runner = make_torch_runner({2, 64}, "cpu");
  const std::vector<int32_t> tokens = {1, 2, 3};
  const auto logits = [&] {
    std::vector<float> out(runner->config().vocab_size);
    const std::vector<int> blocks = {1};
    const SequenceStep step{blocks, 0, tokens};
    runner->forward({&step, 1}, out);
    return out;
  };
  ASSERT_TRUE(runner->load_weights(one->view).ok());
  const auto first = logits();
  model::WeightsView next = two->view;
  next.version = 4;
  ASSERT_TRUE(runner->load_weights(next).ok());
  EXPECT_EQ(runner->version(), 4);
  EXPECT_NE(first, logits());
  ASSERT_TRUE(runner->load_weights(one->view).ok());
  EXPECT_EQ(first, logits());
}

// Beyond its positions a dynamic scaling rotates every token by the final length, which no cache
// can follow.
TEST(Rollout, ARopeThatChangesWithTheLengthIsRefusedBeyondItsSteadyLength) {
  model::ModelConfig config = small_config();
  config.max_position_embeddings = 200;
  config.rope_scaling = model::RopeScaling{};
  config.rope_scaling->type = model::RopeScaling::Type::dynamic;
  config.rope_scaling->factor = 2;
  const auto model = random_model(config, 1);
  for (const int length : {200, 201}) {
    for (auto* make : {+[](int n) {
                         return make_cpu_runner({2, n}, 1);
                       },
                       +[](int n) {
                         return make_torch_runner({2, n}, "cpu");
                       }}) {
      const Status status = make(length)->load_weights(model->view);
      EXPECT_EQ(status.ok(), length == 200) << status.message();
      if (!status.ok()) {
        EXPECT_NE(status.message().find("dynamic"), std::string::npos);
      }
    }
  }
}

TEST(TorchRunner, UnknownDeviceIsAnError) {
  const auto model = random_model(small_config(), 1);
  EXPECT_FALSE(make_torch_runner({2, 64}, "abacus")->load_weights(model->view).ok());
}

}  // namespace
}  // namespace longshot::rollout
