#pragma once
// The tiny model and scratch files of tests.

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "model/format/model_files.h"
#include "model/format/model_types.h"

namespace longshot::model {

struct TinySizes {
  int vocab = 11, hidden = 8, intermediate = 12, layers = 2, heads = 4, kv_heads = 2, head_dim = 4,
      positions = 64;
};

// Gives the model every number that its type has, other than 1 or none, and windows that hide.
inline void set_tiny_numbers(ModelConfig& c) {
  const ModelType& type = *find_model_type(c.model_type);
  const auto every_other = [&](bool first) {
    std::vector<bool> layers;
    for (int layer = 0; layer < c.num_layers; ++layer) layers.push_back((layer % 2 == 0) == first);
    return layers;
  };
  if (type.multipliers) {
    c.embedding_multiplier = 1.5;
    c.attention_multiplier = 0.6;
    c.residual_multiplier = 0.7;
    c.logits_scaling = 1.25;
  }
  if (type.gemma_scales) {
    c.embedding_multiplier = std::sqrt(c.hidden_size);
    c.attention_multiplier = 1 / std::sqrt(5.0);
    c.logit_softcap = 6;
  }
  if (type.attention_cap) c.attention_softcap = 3;
  if (type.no_rope_layers) c.no_rope_layers = every_other(true);
  if (type.partial_rotary) c.partial_rotary_factor = 0.67;
  if (type.experts) c.experts = {7, 2, c.intermediate_size, true, {}};
  if (type.expert_keys) {
    c.experts.width = 19;
    c.experts.normalized = false;
    c.experts.dense_layers = every_other(false);
  }
  if (type.local_rope) c.local_rope_theta = 30;
  if (type.windows == Windows::pattern) {
    c.sliding_window = 7;
    c.sliding_layers = every_other(true);
  }
}

// The tiny model of all tests: a test changes the sizes and fields that it is about.
inline ModelConfig tiny_config(const std::string& model_type = "llama",
                               const TinySizes& sizes = {}) {
  ModelConfig c;
  set_model_type(model_type, c);
  c.vocab_size = sizes.vocab;
  c.hidden_size = sizes.hidden;
  c.intermediate_size = sizes.intermediate;
  c.num_layers = sizes.layers;
  c.num_heads = sizes.heads;
  c.num_kv_heads = sizes.kv_heads;
  c.head_dim = sizes.head_dim;
  c.max_position_embeddings = sizes.positions;
  c.qkv_bias = model_type == "qwen2";
  c.bos_token_id = 1;
  c.eos_token_ids = {2, 5};
  set_tiny_numbers(c);
  return c;
}

// Normal values, a function of the seed only.
inline std::vector<HostTensor> random_weights(const ModelConfig& config, uint64_t seed) {
  CounterRng rng(seed);
  std::vector<HostTensor> tensors;
  for (const WeightSpec& spec : expected_weights(config)) {
    HostTensor tensor{spec.name, spec.shape, {}};
    size_t count = 1;
    for (int64_t extent : spec.shape) count *= static_cast<size_t>(extent);
    for (size_t i = 0; i < count; ++i) tensor.data.push_back(static_cast<float>(rng.next_normal()));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

inline WeightsView view_of(const ModelConfig& config, const std::vector<HostTensor>& tensors) {
  WeightsView view{config, 0, {}};
  for (const HostTensor& t : tensors) view.tensors.push_back({t.name, t.shape, t.data.data()});
  return view;
}

// Without the fsync of write_file_durable(), which would delay thousands of small files.
inline void write_scratch(const std::string& path, std::string_view bytes) {
  std::filesystem::remove(path);  // truncating in place is also slow on some file systems
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A fresh directory below the system's temporary one, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "longshot_test_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace longshot::model
