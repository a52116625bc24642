#pragma once
// Models and adapters with random weights, for tests and benchmarks that need arithmetic but no
// trained model, and small jobs.

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/format/adapters/adapter.h"
#include "model/format/testing.h"
#include "rollout/engine.h"

namespace longshot::rollout {

// Owns what its view borrows.
struct RandomModel {
  std::vector<model::HostTensor> tensors;
  model::WeightsView view;
};

// Matrices have standard deviation gain / sqrt(columns), which keeps activations and logits of
// order gain; norm weights are near 1, biases near 0.
inline std::unique_ptr<RandomModel> random_model(const model::ModelConfig& config, uint64_t seed,
                                                 float gain = 1.0f) {
  auto model = std::make_unique<RandomModel>();
  model->view.config = config;
  for (const auto& spec : model::expected_weights(config)) {
    model::HostTensor tensor{spec.name, spec.shape, {}};
    size_t size = 1;
    for (const int64_t d : spec.shape) size *= static_cast<size_t>(d);
    tensor.data.resize(size);
    const bool matrix = spec.shape.size() == 2, bias = spec.name.ends_with(".bias");
    const bool around_zero = matrix || bias || config.facts.norm_plus_one;
    const float deviation = matrix ? gain / std::sqrt(static_cast<float>(spec.shape[1])) : 0.1f;
    CounterRng rng(hash_combine(seed, hash64(spec.name)));
    // A uniform number of that deviation: as good here as a normal one, and cheap for the largest
    // models.
    for (float& v : tensor.data) {
      v = (around_zero ? 0.0f : 1.0f) +
          deviation * 3.4641f * static_cast<float>(rng.next_double() - 0.5);
    }
    model->tensors.push_back(std::move(tensor));
  }
  for (const auto& tensor : model->tensors)
    model->view.tensors.push_back({tensor.name, tensor.shape, tensor.data.data()});
  return model;
}

// An adapter as after training: B is not zero. `targets`: as for adapter_modules().
inline model::Adapter random_adapter(const model::ModelConfig& config,
                                     const model::LoraOptions& lora,
                                     const std::vector<std::string>& targets, uint64_t seed) {
  const auto modules = model::adapter_modules(config, targets);
  LS_CHECK(modules.ok(), modules.status().message());
  model::Adapter adapter = model::new_adapter(config, lora, *modules, seed);
  CounterRng rng(hash_combine(seed, 1));
  for (model::AdapterPair& pair : adapter.pairs) {
    for (float& v : pair.b) v = 0.3f * static_cast<float>(rng.next_double() - 0.5);
  }
  return adapter;
}

inline model::ModelConfig small_config(const std::string& model_type = "llama") {
  model::ModelConfig c = model::tiny_config(model_type, {.vocab = 67,
                                                         .hidden = 72,
                                                         .intermediate = 100,
                                                         .layers = 3,
                                                         .heads = 6,
                                                         .head_dim = 12,
                                                         .positions = 512});
  c.tie_word_embeddings = true;
  return c;
}

// In two of three layers a token sees 21 tokens; the rotary embedding is stretched.
inline model::ModelConfig windowed_config() {
  model::ModelConfig c = small_config("qwen2");
  c.sliding_window = 21;
  c.sliding_layers = {true, false, true};
  model::RopeScaling yarn;
  yarn.type = model::RopeScaling::Type::yarn;
  yarn.factor = 4;
  yarn.original_max_position_embeddings = 32;
  c.rope_scaling = yarn;
  return c;
}

// Groups of samples without a response, for a FakeRunner with a vocabulary of at least 50 tokens.
inline std::vector<data::Sample> jobs_of(int prompts, int per_prompt) {
  std::vector<data::Sample> jobs;
  for (int p = 0; p < prompts; ++p) {
    for (int i = 0; i < per_prompt; ++i) {
      data::Sample& s = jobs.emplace_back();
      s.prompt_id = "p" + std::to_string(p);
      s.index = static_cast<uint32_t>(i);
      s.seed = 11;
      s.prompt_tokens = std::vector<data::TokenId>(p % 3 + 1, p % 50);
      s.finish = data::FinishReason::partial;
    }
  }
  return jobs;
}

inline EngineOptions short_responses(int max_response_length) {
  EngineOptions options;
  options.sampling.max_response_length = max_response_length;
  options.sampling.stop_tokens = {3};
  return options;
}

}  // namespace longshot::rollout
