#pragma once
// The safetensors files of a Hugging Face model directory: one file, or shards with an index.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/os/fs.h"
#include "base/status.h"
#include "model/format/config.h"
#include "model/format/model_files.h"
#include "model/format/safetensors.h"
#include "model/format/weights_view.h"

namespace longshot::model {

// The open weights of a directory, read by ranges so that no tensor need be in memory as a whole.
// Movable only; read() is thread-safe.
class HfWeights {
 public:
  // Checks that the directory has every weight of the architecture, in the right shape. Harmless
  // extras (rotary buffers, the copy of a tied head) are skipped; any other difference is an error
  // that names the tensor.
  static Result<HfWeights> open(const std::string& directory, const ModelConfig& config);

  const std::vector<WeightSpec>& specs() const { return specs_; }  // expected_weights(config)
  // Elements [begin, begin + out.size()) of the tensor specs()[tensor] in row-major order, as f32.
  Status read(size_t tensor, int64_t begin, std::span<float> out) const;

 private:
  struct Place {
    size_t file = 0;  // index into files_
    SafetensorsHeader::Array array;
  };
  Status open_files(const std::string& directory);
  void add_usual_names(const ModelConfig& config);
  Result<bool> is_harmless_extra(const std::string& name, const ModelConfig& config) const;
  Result<bool> are_equal(const Place& a, const Place& b) const;
  Status check_extras(const ModelConfig& config) const;
  Status find_tensors(const std::string& directory);
  Status read_place(const Place& place, int64_t begin, std::span<float> out) const;

  std::vector<RandomAccessFile> files_;
  std::map<std::string, Place> places_;  // by name
  std::vector<WeightSpec> specs_;
  std::vector<Place> tensors_;  // of specs_
};

// All weights of the architecture, in the order of expected_weights(config), as f32. Errors: those
// of HfWeights::open().
Result<std::vector<HostTensor>> read_hf_weights(const std::string& directory,
                                                const ModelConfig& config);

// A weight file to write: its name and the indices of its tensors.
struct WeightFile {
  std::string name;
  std::vector<size_t> tensors;
  int64_t bytes = 0;  // of the tensors
};
// model.safetensors, or shards of at most `max_shard_bytes`, filled in the order of the tensors. A
// tensor larger than the limit gets its own shard.
std::vector<WeightFile> plan_weight_files(const std::vector<WeightSpec>& tensors, Dtype dtype,
                                          int64_t max_shard_bytes);
// Writes model.safetensors.index.json if there are several files.
Status write_weight_index(const std::string& directory, const std::vector<WeightFile>& files,
                          const std::vector<WeightSpec>& tensors);
// "float32", "bfloat16" or "float16", as in config.json.
Dtype stored_dtype(const std::string& name);

// Writes model.safetensors, or shards of at most `max_shard_bytes` with an index, after removing
// those of an earlier model in the directory. A tensor larger than the limit gets its own shard.
Status write_hf_weights(const std::string& directory, const WeightsView& weights,
                        const std::string& dtype, int64_t max_shard_bytes);

}  // namespace longshot::model
