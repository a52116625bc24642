#pragma once
// Tiny random models of every architecture, for the tests of this folder.

#include <cstdint>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/format/testing.h"
#include "model/weights.h"

namespace longshot::model {

// The model types, "mistral" with a window in every layer; "windows": a qwen2 with a window in two
// of its three layers; "yarn": a qwen3 with a stretched rotary embedding.
inline ModelConfig architecture(const std::string& name) {
  const std::string model_type = name == "windows" ? "qwen2" : name == "yarn" ? "qwen3" : name;
  ModelConfig config = tiny_config(model_type, {.vocab = 61,
                                                .hidden = 24,
                                                .intermediate = 40,
                                                .layers = 3,
                                                // qwen3: differs from hidden / heads
                                                .head_dim = model_type == "qwen3" ? 8 : 6,
                                                .positions = 256});
  config.tie_word_embeddings = model_type != "llama";
  if (name == "windows" || name == "mistral") {
    config.sliding_window = name == "windows" ? 5 : 18;
    config.sliding_layers = {true, name != "windows", true};
  }
  if (name == "yarn") {
    config.rope_scaling = RopeScaling{};
    config.rope_scaling->type = RopeScaling::Type::yarn;
    config.rope_scaling->factor = 4;
    config.rope_scaling->original_max_position_embeddings = 16;
  }
  if (model_type == "llama") {
    config.qkv_bias = config.attention_out_bias = config.mlp_bias = true;
    config.rope_scaling = RopeScaling::llama3(8, 1, 4, 64);
  }
  return config;
}

// Weights::random with wider values, so that attention is far from uniform and biases and norms
// matter.
inline Weights wide_weights(const ModelConfig& config, uint64_t seed) {
  Weights weights = Weights::random(config, seed, "cpu");
  for (NamedTensor& named : weights.tensors()) {
    at::Tensor values = named.tensor.detach();
    CounterRng rng(hash_combine(seed, hash64(named.name + "/wide")));
    float* data = values.mutable_data_ptr<float>();
    for (int64_t i = 0; i < values.numel(); ++i) data[i] += 0.2F * rng.next_normal();
  }
  return weights;
}

inline Weights tiny_weights(const std::string& model_type, uint64_t seed = 1) {
  return wide_weights(architecture(model_type), seed);
}

inline std::vector<int32_t> random_tokens(int length, uint64_t key, int vocab = 61) {
  CounterRng rng(key);
  std::vector<int32_t> tokens(length);
  for (int32_t& token : tokens) token = static_cast<int32_t>(rng.next_below(vocab));
  return tokens;
}

}  // namespace longshot::model
