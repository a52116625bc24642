// Adapters beside their base, on real arithmetic: against merged models, in mixed batches, and with
// the prefix cache.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "model/format/adapters/adapter.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"
#include "rollout/testing.h"

namespace longshot::rollout {
namespace {

using AdapterPtr = std::shared_ptr<const RunnerAdapter>;

std::unique_ptr<Runner> runner_of(const RandomModel& model, RunnerLimits limits = {64, 256},
                                  int threads = 1) {
  auto runner = make_cpu_runner(limits, threads);
  const Status loaded = runner->load_weights(model.view);
  EXPECT_TRUE(loaded.ok()) << loaded.message();
  return runner;
}

std::unique_ptr<RandomModel> merged(const model::ModelConfig& config,
                                    const model::Adapter& adapter) {
  auto model = random_model(config, 1);
  model::merge_adapter(adapter, model->tensors);
  return model;
}

AdapterPtr prepared(Runner& runner, const model::Adapter& adapter) {
  auto made = runner.prepare_adapter(adapter);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return *made;
}

// Names of linear modules, with those of the fused ones where the model has these.
std::vector<std::string> targets(const model::ModelConfig& config,
                                 const std::vector<std::string>& names) {
  std::set<std::string> out;
  for (const std::string& name : names) {
    const bool qkv = name == "q_proj" || name == "k_proj" || name == "v_proj";
    const bool gate_up = name == "gate_proj" || name == "up_proj";
    out.insert(qkv && config.facts.fused_qkv           ? "qkv_proj"
               : gate_up && config.facts.fused_gate_up ? "gate_up_proj"
                                                       : name);
  }
  return {out.begin(), out.end()};
}

// Adapters of different ranks, layers and scales; the last one has a rank of its own in one layer.
std::vector<model::Adapter> adapters_for(const model::ModelConfig& config) {
  const auto adapter = [&](const model::LoraOptions& lora, const std::vector<std::string>& names,
                           uint64_t seed) {
    return random_adapter(config, lora, targets(config, names), seed);
  };
  std::vector<model::Adapter> adapters = {
      adapter({.rank = 3, .alpha = 6}, {"all-linear"}, 1),
      adapter({.rank = 20, .alpha = 9, .rslora = true}, {"q_proj", "v_proj"}, 2),
      adapter({.rank = 5, .alpha = 5}, {"gate_proj", "down_proj", "k_proj"}, 3),
      adapter({.rank = 8, .alpha = 16}, {"up_proj", "o_proj"}, 4)};
  model::AdapterPair& pair = adapters.back().pairs[1];
  pair.lora = {.rank = 1, .alpha = 3};
  pair.a.resize(pair.in);
  pair.b.resize(pair.out);
  return adapters;
}

std::vector<int32_t> tokens_of(int n, int vocab, uint64_t seed) {
  CounterRng rng(seed);
  std::vector<int32_t> tokens(n);
  for (int32_t& token : tokens) token = static_cast<int32_t>(rng.next_below(vocab));
  return tokens;
}

std::vector<int> blocks_of(int sequence) {
  std::vector<int> blocks;
  for (int i = 0; i < 16; ++i) blocks.push_back(sequence * 16 + i);
  return blocks;
}

std::vector<double> logprobs_of(std::span<const float> logits) {
  double most = -INFINITY, sum = 0;
  for (const float v : logits) most = std::max<double>(most, v);
  for (const float v : logits) sum += std::exp(v - most);
  std::vector<double> out;
  for (const float v : logits) out.push_back(v - most - std::log(sum));
  return out;
}

double largest(std::span<const float> one, std::span<const float> other) {
  const auto a = logprobs_of(one), b = logprobs_of(other);
  double difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = std::max(difference, std::abs(a[i] - b[i]));
  return difference;
}

// The logits after `prompt` and, in a second pass, after one token more, of all sequences together.
// adapters[i] is that of sequence i.
std::vector<std::vector<float>> two_passes(Runner& runner,
                                           const std::vector<std::vector<int32_t>>& prompts,
                                           const std::vector<const RunnerAdapter*>& adapters) {
  const size_t vocab = runner.config().vocab_size;
  std::vector<std::vector<int>> blocks;
  for (size_t i = 0; i < prompts.size(); ++i) blocks.push_back(blocks_of(static_cast<int>(i)));
  const std::vector<int32_t> next = {7};
  std::vector<std::vector<float>> out;
  for (const bool second : {false, true}) {
    std::vector<SequenceStep> steps;
    for (size_t i = 0; i < prompts.size(); ++i) {
      const int start = second ? static_cast<int>(prompts[i].size()) : 0;
      steps.push_back({blocks[i], start, second ? next : prompts[i], 1, adapters[i]});
    }
    std::vector<float> logits(vocab * steps.size());
    runner.forward(steps, logits);
    for (size_t i = 0; i < steps.size(); ++i)
      out.emplace_back(logits.begin() + i * vocab, logits.begin() + (i + 1) * vocab);
  }
  return out;
}

std::vector<model::ModelConfig> architectures() {
  model::ModelConfig qwen2 = small_config("qwen2"), biased = small_config();
  qwen2.tie_word_embeddings = false;
  biased.qkv_bias = biased.attention_out_bias = biased.mlp_bias = true;
  biased.num_kv_heads = 1;
  std::vector<model::ModelConfig> all = {qwen2, biased, windowed_config()};
  for (const char* type :
       {"llama", "qwen3", "olmo2", "granite", "phi3", "glm4", "gemma2", "qwen3_moe"})
    all.push_back(small_config(type));
  return all;
}

// Sequences of the base and four adapters, mixed, with prompts of 1 to 82 tokens: more rows than
// one run of the layers has.
TEST(Adapters, AMixedBatchGivesTheLogitsOfMergedModels) {
  constexpr int kSequences = 15;
  double worst = 0, effect = 1e9;
  for (const model::ModelConfig& config : architectures()) {
    const auto base = random_model(config, 1);
    const auto adapters = adapters_for(config);
    auto runner = runner_of(*base, {64, 256}, 2);
    std::vector<AdapterPtr> own = {nullptr};
    for (const auto& adapter : adapters) own.push_back(prepared(*runner, adapter));
    std::vector<std::vector<int32_t>> prompts;
    std::vector<const RunnerAdapter*> of;
    for (int i = 0; i < kSequences; ++i) {
      prompts.push_back(tokens_of(1 + i * 23 % 82, config.vocab_size, i));
      of.push_back(own[i * 3 % 5].get());
    }
    const auto mixed = two_passes(*runner, prompts, of);
    const auto plain =
        two_passes(*runner_of(*base), prompts, std::vector(kSequences, own[0].get()));
    for (size_t a = 0; a < own.size(); ++a) {
      const auto model = a == 0 ? random_model(config, 1) : merged(config, adapters[a - 1]);
      const auto expected =
          two_passes(*runner_of(*model), prompts, std::vector(kSequences, own[0].get()));
      for (size_t i = 0; i < mixed.size(); ++i) {
        if (of[i % kSequences] != own[a].get()) continue;
        worst = std::max(worst, largest(mixed[i], expected[i]));
        if (a > 0) effect = std::min(effect, largest(mixed[i], plain[i]));
        if (a == 0) {
          EXPECT_EQ(mixed[i], plain[i]) << "a row of the base has other bits";
        }
      }
    }
  }
  printf(
      "log-probabilities beside the base against merged: largest difference %.2g; "
      "the adapters change them by at least %.2g\n",
      worst, effect);
  EXPECT_LT(worst, 1e-4);
  EXPECT_GT(effect, 1e-2);
}

TEST(Adapters, ARowOfAnAdapterHasTheSameBitsInAnyBatch) {
  const auto base = random_model(small_config(), 1);
  const auto adapters = adapters_for(base->view.config);
  for (const NumberFormat format : {NumberFormat::f32, NumberFormat::bf16, NumberFormat::int8}) {
    RunnerLimits limits{64, 256};
    limits.weights = format;
    std::vector<std::vector<int32_t>> prompts;
    for (int i = 0; i < 9; ++i) prompts.push_back(tokens_of(1 + i * 31 % 90, 67, i));
    std::vector<std::vector<float>> alone;
    for (const int threads : {1, 3}) {
      auto runner = runner_of(*base, limits, threads);
      std::vector<AdapterPtr> own = {nullptr};
      for (const auto& adapter : adapters) own.push_back(prepared(*runner, adapter));
      std::vector<const RunnerAdapter*> of;
      for (int i = 0; i < 9; ++i) of.push_back(own[i % 5].get());
      if (alone.empty()) {
        for (const size_t pass : {0, 1})
          for (int i = 0; i < 9; ++i)
            alone.push_back(two_passes(*runner, {prompts[i]}, {of[i]})[pass]);
      }
      EXPECT_EQ(two_passes(*runner, prompts, of), alone) << name_of(format) << " " << threads;
    }
  }
}

// The base is rounded and the adapter is not: what the adapter adds to the logits is nearly what it
// adds beside an f32 base, and an adapter that adds nothing changes no bit.
TEST(Adapters, TheBaseMayHaveAnyFormat) {
  const auto base = random_model(small_config(), 1);
  const auto adapter = adapters_for(base->view.config)[0];
  model::Adapter zero = adapter;
  for (model::AdapterPair& pair : zero.pairs) std::ranges::fill(pair.b, 0.0f);
  const std::vector<std::vector<int32_t>> prompt = {tokens_of(40, 67, 3)};
  std::vector<float> exact;
  for (const NumberFormat format :
       {NumberFormat::f32, NumberFormat::bf16, NumberFormat::int8, NumberFormat::int4}) {
    RunnerLimits limits{64, 256};
    limits.weights = format;
    auto runner = runner_of(*base, limits);
    const auto with = prepared(*runner, adapter), without = prepared(*runner, zero);
    const auto plain = two_passes(*runner, prompt, {nullptr});
    EXPECT_EQ(two_passes(*runner, prompt, {without.get()}), plain) << name_of(format);
    std::vector<float> added = two_passes(*runner, prompt, {with.get()})[0];
    double size = 0, difference = 0;
    for (size_t i = 0; i < added.size(); ++i) added[i] -= plain[0][i];
    if (exact.empty()) exact = added;
    for (size_t i = 0; i < added.size(); ++i) {
      size += std::pow(exact[i], 2);
      difference += std::pow(exact[i] - added[i], 2);
    }
    printf("%s base: what the adapter adds differs by %.3g of itself\n", name_of(format),
           std::sqrt(difference / size));
    EXPECT_LE(std::sqrt(difference / size), format == NumberFormat::int4 ? 0.5 : 0.1);
  }
}

TEST(Adapters, OnlyTheirMatricesTakeMemory) {
  const auto base = random_model(small_config(), 1);
  auto runner = runner_of(*base);
  const int64_t before = runner->weight_bytes();
  const auto adapter =
      prepared(*runner, random_adapter(base->view.config, {.rank = 16, .alpha = 1}, {"q_proj"}, 1));
  EXPECT_EQ(runner->weight_bytes(), before);
  // Three layers: A [16, 72], and B [72, 16] in panels of 16 rows.
  EXPECT_EQ(adapter->bytes(), 3 * 4 * (16 * 72 + 80 * 16));
}

TEST(Adapters, AModuleWithoutAPlaceIsRefusedByName) {
  const auto base = random_model(small_config(), 1);
  auto runner = runner_of(*base);
  model::Adapter adapter =
      random_adapter(base->view.config, {.rank = 2, .alpha = 1}, {"q_proj"}, 1);
  adapter.pairs[0].module = "model.layers.7.self_attn.q_proj";
  const auto refused = runner->prepare_adapter(adapter);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("model.layers.7.self_attn.q_proj"), std::string::npos);
}

std::unique_ptr<Engine> engine_of(const RandomModel& model) {
  auto engine = std::make_unique<Engine>(runner_of(model), nullptr, 2);
  engine->keep_finished(true);
  return engine;
}

Request request_of(int number, double temperature, AdapterPtr adapter = nullptr) {
  Request request;
  request.sample.prompt_id = "p" + std::to_string(number);
  request.sample.seed = 5;
  request.sample.prompt_tokens = tokens_of(20 + number * 7, 67, number);
  request.sampling.temperature = temperature;
  request.sampling.max_response_length = 24;
  request.repetition.enabled = false;
  request.adapter = std::move(adapter);
  return request;
}

// The samples in the order of the requests, which are generated together.
std::vector<data::Sample> run(Engine& engine, std::vector<Request> requests) {
  std::map<int64_t, size_t> place;
  std::vector<data::Sample> samples(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) place[*engine.add(std::move(requests[i]))] = i;
  while (!engine.idle()) {
    const Status status = engine.step();
    EXPECT_TRUE(status.ok()) << status.message();
    if (!status.ok()) break;
  }
  for (Finished& finished : engine.take_finished())
    samples[place.at(finished.id)] = std::move(finished.sample);
  return samples;
}

double largest(const data::Sample& one, const data::Sample& other) {
  double difference = 0;
  for (size_t i = 0; i < std::min(one.logprobs.size(), other.logprobs.size()); ++i)
    difference = std::max<double>(difference, std::abs(one.logprobs[i] - other.logprobs[i]));
  return difference;
}

// Greedy and sampled: the answers of merged models, and for the base those of a server without
// adapters, bit for bit.
TEST(Adapters, SamplesOfAMixedBatchAreThoseOfMergedModels) {
  const auto base = random_model(small_config(), 1);
  const auto adapters = adapters_for(base->view.config);
  double worst = 0;
  for (const double temperature : {0.0, 1.0}) {
    auto mixed = engine_of(*base);
    std::vector<AdapterPtr> own = {nullptr};
    for (const auto& adapter : adapters) own.push_back(prepared(mixed->runner(), adapter));
    std::vector<Request> requests;
    for (int i = 0; i < 15; ++i) requests.push_back(request_of(i / 5, temperature, own[i % 5]));
    const auto got = run(*mixed, std::move(requests));
    for (size_t a = 0; a < own.size(); ++a) {
      const auto model =
          a == 0 ? random_model(small_config(), 1) : merged(small_config(), adapters[a - 1]);
      const auto expected =
          run(*engine_of(*model),
              {request_of(0, temperature), request_of(1, temperature), request_of(2, temperature)});
      for (size_t p = 0; p < 3; ++p) {
        const data::Sample& sample = got[p * 5 + a];
        EXPECT_EQ(sample.tokens, expected[p].tokens) << "adapter " << a << ", prompt " << p;
        EXPECT_EQ(sample.tokens.size(), 24u);
        worst = std::max(worst, largest(sample, expected[p]));
        if (a == 0) {
          EXPECT_EQ(sample.logprobs, expected[p].logprobs);
        }
      }
    }
  }
  printf("log-probabilities of the samples: largest difference %.2g\n", worst);
  EXPECT_LT(worst, 1e-4);
}

// The same prompt with the base, two adapters and the base again, one after the other, so that each
// could find what the one before has computed. An adapter that is loaded again finds nothing
// either.
TEST(Adapters, NoPrefixIsSharedBetweenAdapters) {
  const auto base = random_model(small_config(), 1);
  const auto adapters = adapters_for(base->view.config);
  auto shared = engine_of(*base);
  Runner& runner = shared->runner();
  const std::vector<AdapterPtr> order = {nullptr, prepared(runner, adapters[0]),
                                         prepared(runner, adapters[2]), nullptr,
                                         prepared(runner, adapters[3])};
  for (const AdapterPtr& adapter : order) {
    auto fresh = engine_of(*base);
    const auto got = run(*shared, {request_of(3, 0, adapter)});
    const auto expected = run(*fresh, {request_of(3, 0, adapter)});
    EXPECT_EQ(got[0].tokens, expected[0].tokens);
    EXPECT_EQ(got[0].logprobs, expected[0].logprobs);
  }
}

}  // namespace
}  // namespace longshot::rollout
