#include <gtest/gtest.h>

#include <cstring>

#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"
#include "rollout/testing.h"

namespace longshot::rollout {
namespace {

std::unique_ptr<Runner> loaded_runner(const RandomModel& model, int threads = 1, int slots = 64) {
  auto runner = make_cpu_runner({slots, 256}, threads);
  const Status status = runner->load_weights(model.view);
  EXPECT_TRUE(status.ok()) << status.to_string();
  return runner;
}

std::vector<int32_t> random_tokens(int n, int vocab, uint64_t seed) {
  CounterRng rng(seed);
  std::vector<int32_t> out(n);
  for (int32_t& t : out) t = static_cast<int32_t>(rng.next_below(vocab));
  return out;
}

// The sequence's own blocks for up to 256 tokens, in a mixed order.
std::vector<int> blocks_of(int sequence) {
  std::vector<int> blocks;
  for (int i = 0; i < 16; ++i) blocks.push_back(sequence * 16 + i * 7 % 16);
  return blocks;
}

std::vector<float> logits_of(Runner& runner, const std::vector<int>& blocks,
                             std::span<const int32_t> tokens, int start = 0) {
  std::vector<float> logits(runner.config().vocab_size);
  const SequenceStep step{blocks, start, tokens};
  runner.forward({&step, 1}, logits);
  return logits;
}

std::vector<float> logits_of(Runner& runner, int sequence, std::span<const int32_t> tokens,
                             int start = 0) {
  return logits_of(runner, blocks_of(sequence), tokens, start);
}

// Small models of the supported architectures.
std::vector<model::ModelConfig> architectures() {
  model::ModelConfig llama = small_config();
  model::ModelConfig qwen2 = small_config("qwen2");
  qwen2.tie_word_embeddings = false;
  model::ModelConfig qwen3 = small_config("qwen3");
  qwen3.head_dim = 32;
  model::ModelConfig biased = small_config();
  biased.qkv_bias = biased.attention_out_bias = biased.mlp_bias = true;
  biased.num_kv_heads = 1;
  std::vector<model::ModelConfig> all = {llama, qwen2, qwen3, biased, windowed_config()};
  for (const char* type : {"olmo2", "granite", "smollm3", "phi3", "glm4", "gemma2", "gemma3_text",
                           "qwen3_moe", "mixtral"})
    all.push_back(small_config(type));
  return all;
}

TEST(CpuRunner, LogitsDoNotDependOnHowTokensAreCut) {
  for (const auto& config : architectures()) {
    const auto model = random_model(config, 1);
    auto runner = loaded_runner(*model);
    const auto tokens = random_tokens(70, config.vocab_size, 2);
    const auto whole = logits_of(*runner, 0, tokens);
    std::vector<float> one_by_one;
    for (int i = 0; i < 70; ++i)
      one_by_one = logits_of(*runner, 1, std::span(tokens).subspan(i, 1), i);
    logits_of(*runner, 2, std::span(tokens).first(33));
    const auto cut = logits_of(*runner, 2, std::span(tokens).subspan(33), 33);
    EXPECT_EQ(whole, one_by_one) << config.model_type;
    EXPECT_EQ(whole, cut) << config.model_type;
    EXPECT_GT(*std::max_element(whole.begin(), whole.end()),
              *std::min_element(whole.begin(), whole.end()));
  }
}

class CpuRunnerOnEither : public ::testing::TestWithParam<bool> {
 protected:
  static model::ModelConfig config() { return GetParam() ? windowed_config() : small_config(); }
};
std::string name_of(const ::testing::TestParamInfo<bool>& info) {
  return info.param ? "Windows" : "Plain";
}
INSTANTIATE_TEST_SUITE_P(Models, CpuRunnerOnEither, ::testing::Bool(), name_of);

TEST_P(CpuRunnerOnEither, LogitsDoNotDependOnBatchMatesOrThreads) {
  const auto model = random_model(config(), 1);
  const int vocab = model->view.config.vocab_size, batch = 60;
  std::vector<std::vector<int32_t>> prompts;
  for (int i = 0; i < batch; ++i) prompts.push_back(random_tokens(1 + i * 7 % 90, vocab, i));
  auto alone = loaded_runner(*model);
  std::vector<float> expected;
  for (int i = 0; i < batch; ++i) {
    const auto row = logits_of(*alone, 0, prompts[i]);
    expected.insert(expected.end(), row.begin(), row.end());
  }
  for (const int threads : {1, 2, 3}) {
    auto runner = loaded_runner(*model, threads);
    std::vector<std::vector<int>> blocks;
    for (int i = 0; i < batch; ++i) blocks.push_back(blocks_of(i));
    std::vector<SequenceStep> steps;
    for (int i = 0; i < batch; ++i) steps.push_back({blocks[i], 0, prompts[i]});
    std::vector<float> logits(expected.size());
    runner->forward(steps, logits);
    EXPECT_EQ(expected, logits) << threads << " threads";
  }
}

TEST(CpuRunner, ACopiedBlockGoesOnIndependently) {
  const auto model = random_model(small_config(), 1);
  auto runner = loaded_runner(*model);
  const auto prompt = random_tokens(21, 67, 3), a = random_tokens(5, 67, 4),
             b = random_tokens(9, 67, 5);
  const std::vector<int> one = {0, 1}, two = {0, 2};
  logits_of(*runner, one, prompt);
  runner->copy_block(1, 2);
  const auto first = logits_of(*runner, one, a, 21), second = logits_of(*runner, two, b, 21);
  const auto again = logits_of(*runner, one, a, 21);
  const auto joined = [&](const std::vector<int32_t>& rest) {
    std::vector<int32_t> all = prompt;
    all.insert(all.end(), rest.begin(), rest.end());
    return logits_of(*runner, 2, all);
  };
  EXPECT_EQ(first, joined(a));
  EXPECT_EQ(second, joined(b));
  EXPECT_EQ(first, again);
}

// A group that decodes together reads the blocks of its prompt once for all; every sample must get
// the same bits as when it is computed by itself.
TEST(CpuRunner, ASharedPromptChangesNoBit) {
  for (const auto& config : architectures()) {
    const auto model = random_model(config, 1);
    for (const int threads : {1, 2}) {
      auto runner = loaded_runner(*model, threads), alone = loaded_runner(*model);
      const auto prompt = random_tokens(48, config.vocab_size, 3);
      logits_of(*runner, 0, prompt);
      std::vector<std::vector<int>> blocks;
      std::vector<std::vector<int32_t>> tokens;
      std::vector<SequenceStep> steps;
      std::vector<float> expected;
      for (int i = 0; i < 21; ++i) {
        blocks.push_back(blocks_of(i));
        std::copy_n(blocks_of(0).begin(), 3, blocks[i].begin());
        tokens.push_back(random_tokens(1 + i * 3, config.vocab_size, 50 + i));
        if (i > 0) logits_of(*runner, blocks[i], std::span(tokens[i]).first(i * 3), 48);
        std::vector<int32_t> all = prompt;
        all.insert(all.end(), tokens[i].begin(), tokens[i].end());
        const auto row = logits_of(*alone, 0, all);
        expected.insert(expected.end(), row.begin(), row.end());
      }
      for (int i = 0; i < 21; ++i) {
        steps.push_back({blocks[i], 48 + i * 3, std::span(tokens[i]).last(1)});
      }
      std::vector<float> logits(expected.size());
      runner->forward(steps, logits);
      EXPECT_EQ(expected, logits) << config.model_type << ", " << threads << " threads";
    }
  }
}

TEST(CpuRunner, OnlyWantedLogitsAreWritten) {
  const auto model = random_model(small_config(), 1);
  auto runner = loaded_runner(*model);
  const auto a = random_tokens(9, 67, 3), b = random_tokens(30, 67, 4);
  const auto expected = logits_of(*runner, 3, b);
  const std::vector<int> one = blocks_of(0), two = blocks_of(1);
  const std::vector<SequenceStep> steps = {{one, 0, a, 0}, {two, 0, b, 1}};
  std::vector<float> logits(67);
  runner->forward(steps, logits);
  EXPECT_EQ(expected, logits);
}

// Several requested tokens in one step, also where the runner cuts a long forward into passes
// between them.
TEST(CpuRunner, LogitsOfSeveralTokensAreThoseOfEachAlone) {
  for (const auto& config : architectures()) {
    const auto model = random_model(config, 1);
    const size_t vocab = config.vocab_size;
    const auto long_tokens = random_tokens(250, config.vocab_size, 8),
               tokens = random_tokens(30, config.vocab_size, 9);
    for (const int threads : {1, 2}) {
      auto runner = loaded_runner(*model, threads), alone = loaded_runner(*model);
      std::vector<float> expected = logits_of(*alone, 1, long_tokens);
      for (size_t n = 21; n <= 30; ++n) {
        const auto row = logits_of(*alone, 0, std::span(tokens).first(n));
        expected.insert(expected.end(), row.begin(), row.end());
      }
      logits_of(*runner, 0, std::span(tokens).first(20));
      const std::vector<int> one = blocks_of(1), two = blocks_of(0);
      const std::vector<SequenceStep> steps = {{one, 0, long_tokens, 1},
                                               {two, 20, std::span(tokens).subspan(20), 10}};
      std::vector<float> logits(11 * vocab);
      runner->forward(steps, logits);
      EXPECT_EQ(expected, logits) << config.model_type << ", " << threads << " threads";
    }
  }
}

TEST(CpuRunner, NewWeightsReplaceTheOldOnes) {
  const auto one = random_model(small_config(), 1), two = random_model(small_config(), 2);
  auto runner = loaded_runner(*one);
  const auto tokens = random_tokens(9, 67, 3);
  const auto before = logits_of(*runner, 0, tokens);
  model::WeightsView next = two->view;
  next.version = 7;
  ASSERT_TRUE(runner->load_weights(next).ok());
  EXPECT_EQ(runner->version(), 7);
  EXPECT_NE(before, logits_of(*runner, 0, tokens));
  ASSERT_TRUE(runner->load_weights(one->view).ok());
  EXPECT_EQ(before, logits_of(*runner, 0, tokens));
}

TEST(CpuRunner, NamesTheWeightThatIsMissingOrMisshapen) {
  const auto model = random_model(small_config(), 1);
  auto runner = make_cpu_runner({4, 64}, 1);
  model::WeightsView broken = model->view;
  broken.tensors.pop_back();
  const Status missing = runner->load_weights(broken);
  EXPECT_EQ(missing.code(), StatusCode::invalid_argument);
  EXPECT_NE(missing.message().find(model->view.tensors.back().name), std::string::npos);
  broken = model->view;
  broken.tensors[1].shape[0] += 1;
  const Status misshapen = runner->load_weights(broken);
  EXPECT_NE(misshapen.message().find(broken.tensors[1].name), std::string::npos);
}

// ---------------------------------------------------------------- the engine on a model

struct Outcome {
  std::vector<std::vector<data::TokenId>> tokens;
  std::vector<std::vector<float>> logprobs;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(const std::vector<data::Sample>& samples) {
  Outcome out;
  for (const auto& s : samples) out.tokens.push_back(s.tokens), out.logprobs.push_back(s.logprobs);
  return out;
}

std::vector<data::Sample> group_jobs(int prompts, int per_prompt) {
  std::vector<data::Sample> jobs;
  for (int p = 0; p < prompts; ++p) {
    for (int i = 0; i < per_prompt; ++i) {
      data::Sample s;
      s.prompt_id = "prompt-" + std::to_string(p);
      s.index = i;
      s.seed = 5;
      s.prompt_tokens = random_tokens(1 + 11 * p, 67, 100 + p);
      jobs.push_back(s);
    }
  }
  return jobs;
}

EngineOptions model_options() {
  EngineOptions options;
  options.sampling.max_response_length = 40;
  options.sampling.stop_tokens = {3};
  return options;
}

TEST_P(CpuRunnerOnEither, SampleIsTheSameAloneInABatchAndWithTwoThreads) {
  const auto model = random_model(config(), 1, 1.5f);
  const auto jobs = group_jobs(5, 4);
  Outcome alone;
  Engine single(loaded_runner(*model), nullptr);
  for (const auto& job : jobs) {
    const Outcome one = outcome_of(*single.generate({job}, model_options()));
    alone.tokens.push_back(one.tokens[0]);
    alone.logprobs.push_back(one.logprobs[0]);
  }
  for (const int threads : {1, 2}) {
    for (const int slots : {3, 64}) {
      Engine engine(loaded_runner(*model, threads, slots), nullptr, threads);
      EXPECT_EQ(alone, outcome_of(*engine.generate(jobs, model_options())))
          << threads << " threads, " << slots << " slots";
    }
  }
}

// The pool is so small that samples are preempted, and the rows so few that prompts are prefilled
// in several passes.
TEST_P(CpuRunnerOnEither, SampleIsTheSameUnderPreemptionAndChunkedPrefill) {
  const auto model = random_model(config(), 1, 1.5f);
  const auto jobs = group_jobs(6, 5);
  Engine roomy(loaded_runner(*model, 2), nullptr, 2);
  const Outcome expected = outcome_of(*roomy.generate(jobs, model_options()));
  EXPECT_EQ(roomy.metrics().at("rollout/preemptions"), 0);
  EXPECT_EQ(roomy.metrics().at("rollout/prefill_tokens"), 0 + 11 + 22 + 33 + 44 + 55);
  auto runner =
      make_cpu_runner({.max_running = 8, .max_sequence = 256, .kv_blocks = 14, .max_rows = 25}, 1);
  ASSERT_TRUE(runner->load_weights(model->view).ok());
  Engine tight(std::move(runner), nullptr);
  EXPECT_EQ(expected, outcome_of(*tight.generate(jobs, model_options())));
  EXPECT_GT(tight.metrics().at("rollout/preemptions"), 0);
  EXPECT_LE(tight.metrics().at("rollout/kv_peak_blocks"), 14);
  // The full blocks of the prompts are still cached, so the second time only the rest is computed.
  EXPECT_EQ(expected, outcome_of(*roomy.generate(jobs, model_options())));
  EXPECT_EQ(roomy.metrics().at("rollout/prefill_tokens"), 0 + 11 + 6 + 1 + 12 + 7);
}

TEST_P(CpuRunnerOnEither, SampleIsTheSameAfterInterruptionsByTheBudget) {
  const auto model = random_model(config(), 1, 1.5f);
  Engine engine(loaded_runner(*model, 2, 6), nullptr, 2);
  const auto jobs = group_jobs(3, 4);
  const Outcome whole = outcome_of(*engine.generate(jobs, model_options()));
  auto samples = jobs;
  EngineOptions options = model_options();
  options.token_budget = 37;
  int rounds = 0;
  for (bool open = true; open; ++rounds) {
    std::vector<data::Sample> todo;
    std::vector<size_t> place;
    for (size_t i = 0; i < samples.size(); ++i) {
      if (rounds > 0 && samples[i].finish != data::FinishReason::partial) continue;
      todo.push_back(samples[i]);
      place.push_back(i);
    }
    const auto done = *engine.generate(todo, options);
    open = false;
    for (size_t i = 0; i < done.size(); ++i) {
      samples[place[i]] = done[i];
      open = open || done[i].finish == data::FinishReason::partial;
    }
  }
  EXPECT_GT(rounds, 3);
  EXPECT_EQ(whole, outcome_of(samples));
}

TEST_P(CpuRunnerOnEither, LogprobsAreThoseOfTheModel) {
  const auto model = random_model(config(), 1, 1.5f);
  Engine engine(loaded_runner(*model), nullptr);
  EngineOptions options = model_options();
  options.sampling.temperature = 0.7;
  const auto samples = *engine.generate(group_jobs(2, 2), options);
  double worst = 0;
  for (const auto& s : samples) {
    std::vector<int32_t> sequence = s.prompt_tokens;
    for (size_t i = 0; i < s.tokens.size(); ++i) {
      const auto logits = logits_of(engine.runner(), 0, sequence);
      double total = 0;
      for (const float l : logits)
        total += std::exp((static_cast<double>(l) - logits[s.tokens[i]]) / 0.7);
      worst = std::max(worst, std::abs(-std::log(total) - s.logprobs[i]));
      sequence.push_back(s.tokens[i]);
    }
  }
  printf("log-probability against double: largest difference %.3g\n", worst);
  EXPECT_LT(worst, 1e-6);
}

}  // namespace
}  // namespace longshot::rollout
