#pragma once
// The tiny model and scratch files of tests.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "model/format/model_files.h"

namespace longshot::model {

struct TinySizes {
  int vocab = 11, hidden = 8, intermediate = 12, layers = 2, heads = 4, kv_heads = 2, head_dim = 4,
      positions = 64;
};

// The tiny model of all tests: a test changes the sizes and fields that it is about.
inline ModelConfig tiny_config(const std::string& model_type = "llama",
                               const TinySizes& sizes = {}) {
  ModelConfig c;
  c.model_type = model_type;
  c.vocab_size = sizes.vocab;
  c.hidden_size = sizes.hidden;
  c.intermediate_size = sizes.intermediate;
  c.num_layers = sizes.layers;
  c.num_heads = sizes.heads;
  c.num_kv_heads = sizes.kv_heads;
  c.head_dim = sizes.head_dim;
  c.max_position_embeddings = sizes.positions;
  c.qkv_bias = model_type == "qwen2";
  c.qk_norm = model_type == "qwen3";
  c.bos_token_id = 1;
  c.eos_token_ids = {2, 5};
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
