#include "model/format/hf_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/json.h"
#include "base/os/fs.h"
#include "model/format/architecture.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
const std::string kEmbedding = weight_of(names::kEmbedding);
const std::string kHead = weight_of(names::kHead);

// The distinct shard names of an index. Error: a name that leads out of the directory.
Result<std::set<std::string>> shard_names(const std::string& index_path, const Json& index) {
  LS_ASSIGN_OR_RETURN(const Json map, json_get<Json>(index, "weight_map", index_path));
  if (!map.is_object()) return corrupt(index_path + ": weight_map is not an object");
  std::set<std::string> names;
  for (const auto& [tensor, file] : map.items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || fs::path(name).filename() != name || name == "." || name == "..") {
      return corrupt(fmt::format("{}: tensor '{}' lies in {}, which is not a file name", index_path,
                                 tensor, dump_json(file)));
    }
    names.insert(name);
  }
  return names;
}

Result<std::set<std::string>> weight_file_names(const std::string& directory) {
  const fs::path root(directory);
  if (fs::exists(root / kSingle)) return std::set<std::string>{kSingle};
  const std::string index_path = (root / kIndex).string();
  if (!fs::exists(index_path)) {
    return not_found(
        fmt::format("{} has neither {} nor {} (weights in other formats are not read: save "
                    "the model with safe_serialization=True)",
                    directory, kSingle, kIndex));
  }
  LS_ASSIGN_OR_RETURN(const Json index, read_json_file(index_path));
  return shard_names(index_path, index);
}

// Removes the weights of an earlier model, which would be read instead of the new ones.
Status remove_old_weights(const fs::path& directory) {
  std::error_code error;
  for (const auto& item : fs::directory_iterator(directory, error)) {
    const std::string name = item.path().filename().string();
    if (name == kSingle || name == kIndex ||
        (name.starts_with("model-") && name.ends_with(".safetensors"))) {
      LS_RETURN_IF_ERROR(remove_tree(item.path()));
    }
  }
  return error ? io_error(fmt::format("cannot list {}: {}", directory.string(), error.message()))
               : ok_status();
}

int64_t bytes_of(const WeightSpec& spec, Dtype dtype) {
  int64_t bytes = dtype_size(dtype);
  for (int64_t extent : spec.shape) bytes *= extent;
  return bytes;
}

Status missing_tensor(const WeightSpec& spec, const std::string& where) {
  const char* advice = spec.name == kHead
                           ? "; if the head is the embedding, config.json has to say "
                             "\"tie_word_embeddings\": true"
                           : "";
  return corrupt(fmt::format("{}: tensor '{}' {} is missing{}", where, spec.name,
                             shape_text(spec.shape), advice));
}

}  // namespace

Status HfWeights::open_files(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(const std::set<std::string> names, weight_file_names(directory));
  for (const std::string& name : names) {
    LS_ASSIGN_OR_RETURN(RandomAccessFile file, RandomAccessFile::open(fs::path(directory) / name));
    LS_ASSIGN_OR_RETURN(const SafetensorsHeader header, read_safetensors_header(file));
    files_.push_back(std::move(file));
    for (const auto& [tensor, array] : header.arrays) {
      const auto [it, inserted] = places_.emplace(tensor, Place{files_.size() - 1, array});
      if (!inserted) {
        return corrupt(fmt::format("tensor '{}' is in {} and in {}", tensor,
                                   files_[it->second.file].path(), files_.back().path()));
      }
    }
  }
  return ok_status();
}

// Adds the names that the architecture expects. Checkpoints of only the body (AutoModel's) lack the
// first part of the names. A tied head is one matrix with two names, either of which may be stored.
void HfWeights::add_usual_names(const ModelConfig& config) {
  const std::string prefix = "model.";
  const bool body = std::ranges::none_of(
      places_, [&](const auto& named) { return named.first.starts_with(prefix); });
  if (body && places_.contains("embed_tokens.weight")) {
    std::map<std::string, Place> named;
    for (const auto& [name, place] : places_) {
      const bool head = name == kHead || name == "score.weight";
      named[head ? name : prefix + name] = place;
    }
    places_ = std::move(named);
  }
  const auto head = places_.find(kHead);
  if (config.tie_word_embeddings && head != places_.end())
    places_.emplace(kEmbedding, head->second);  // does nothing if the embedding is stored
}

// True if two tensors contain the same numbers, possibly in different formats.
Result<bool> HfWeights::are_equal(const Place& a, const Place& b) const {
  if (a.array.shape != b.array.shape) return false;
  constexpr int64_t kBlock = 1 << 16;
  std::vector<float> x(kBlock), y(kBlock);
  for (int64_t begin = 0; begin < a.array.elements(); begin += kBlock) {
    const auto count = static_cast<size_t>(std::min(kBlock, a.array.elements() - begin));
    LS_RETURN_IF_ERROR(read_place(a, begin, {x.data(), count}));
    LS_RETURN_IF_ERROR(read_place(b, begin, {y.data(), count}));
    if (std::memcmp(x.data(), y.data(), count * sizeof(float)) != 0) return false;
  }
  return true;
}

// True for a tensor that transformers also ignores: buffers that older versions stored, the copy of
// a tied head.
Result<bool> HfWeights::is_harmless_extra(const std::string& name,
                                          const ModelConfig& config) const {
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  if (name != kHead || !config.tie_word_embeddings) return false;
  const auto head = places_.find(kHead), embedding = places_.find(kEmbedding);
  if (embedding == places_.end()) return false;
  return are_equal(head->second, embedding->second);
}

Status HfWeights::check_extras(const ModelConfig& config) const {
  std::set<std::string> expected;
  for (const WeightSpec& spec : specs_) expected.insert(spec.name);
  for (const auto& [name, place] : places_) {
    if (expected.contains(name)) continue;
    LS_ASSIGN_OR_RETURN(const bool harmless, is_harmless_extra(name, config));
    if (harmless) continue;
    const std::string& path = files_[place.file].path();
    if (name == kHead) {
      return corrupt(path +
                     ": lm_head.weight differs from the embedding, but config.json "
                     "says tie_word_embeddings; set it to false to use both");
    }
    return corrupt(fmt::format("{}: tensor '{}' {} is none of this {} model's", path, name,
                               shape_text(place.array.shape), config.model_type));
  }
  return ok_status();
}

Status HfWeights::find_tensors(const std::string& directory) {
  for (const WeightSpec& spec : specs_) {
    const auto it = places_.find(spec.name);
    if (it == places_.end()) return missing_tensor(spec, directory);
    const Place& place = it->second;
    if (place.array.shape != spec.shape) {
      return corrupt(fmt::format("{}: tensor '{}' has shape {}, the configuration asks for {}",
                                 files_[place.file].path(), spec.name,
                                 shape_text(place.array.shape), shape_text(spec.shape)));
    }
    tensors_.push_back(place);
  }
  return ok_status();
}

Result<HfWeights> HfWeights::open(const std::string& directory, const ModelConfig& config) {
  HfWeights weights;
  LS_RETURN_IF_ERROR(weights.open_files(directory));
  weights.add_usual_names(config);
  weights.specs_ = expected_weights(config);
  LS_RETURN_IF_ERROR(weights.check_extras(config));
  LS_RETURN_IF_ERROR(weights.find_tensors(directory));
  return weights;
}

Status HfWeights::read(size_t tensor, int64_t begin, std::span<float> out) const {
  const Status status = read_place(tensors_[tensor], begin, out);
  if (status.ok() || status.code() != StatusCode::invalid_argument) return status;
  return invalid_argument(fmt::format("{}: tensor '{}' {}", files_[tensors_[tensor].file].path(),
                                      specs_[tensor].name, status.message()));
}

Status HfWeights::read_place(const Place& place, int64_t begin, std::span<float> out) const {
  constexpr size_t kBlock = 1 << 16;
  const RandomAccessFile& file = files_[place.file];
  const auto size = static_cast<uint64_t>(dtype_size(place.array.dtype));
  uint64_t offset = place.array.begin + static_cast<uint64_t>(begin) * size;
  if (place.array.dtype == Dtype::f32)
    return file.read(offset, {reinterpret_cast<char*>(out.data()), out.size_bytes()});
  std::vector<char> buffer(std::min(kBlock, out.size()) * size);
  while (!out.empty()) {
    const size_t count = std::min(kBlock, out.size());
    LS_RETURN_IF_ERROR(file.read(offset, {buffer.data(), count * size}));
    LS_RETURN_IF_ERROR(convert_to_f32(place.array.dtype, buffer.data(), count, out.data()));
    offset += count * size;
    out = out.subspan(count);
  }
  return ok_status();
}

Result<std::vector<HostTensor>> read_hf_weights(const std::string& directory,
                                                const ModelConfig& config) {
  LS_ASSIGN_OR_RETURN(const HfWeights weights, HfWeights::open(directory, config));
  std::vector<HostTensor> tensors;
  tensors.reserve(weights.specs().size());
  for (const WeightSpec& spec : weights.specs()) {
    HostTensor tensor{spec.name, spec.shape,
                      std::vector<float>(bytes_of(spec, Dtype::f32) / sizeof(float))};
    LS_RETURN_IF_ERROR(weights.read(tensors.size(), 0, tensor.data));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::vector<WeightFile> plan_weight_files(const std::vector<WeightSpec>& tensors, Dtype dtype,
                                          int64_t max_shard_bytes) {
  std::vector<WeightFile> files(1);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const int64_t bytes = bytes_of(tensors[i], dtype);
    if (files.back().bytes + bytes > max_shard_bytes && !files.back().tensors.empty())
      files.emplace_back();
    files.back().tensors.push_back(i);
    files.back().bytes += bytes;
  }
  files[0].name = kSingle;
  for (size_t i = 0; files.size() > 1 && i < files.size(); ++i)
    files[i].name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, files.size());
  return files;
}

Status write_weight_index(const std::string& directory, const std::vector<WeightFile>& files,
                          const std::vector<WeightSpec>& tensors) {
  if (files.size() == 1) return ok_status();
  Json map = Json::object();
  int64_t total = 0;
  for (const WeightFile& file : files) {
    total += file.bytes;
    for (const size_t tensor : file.tensors) map[tensors[tensor].name] = file.name;
  }
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  return write_file_durable(fs::path(directory) / kIndex, dump_json(index, 2) + "\n");
}

Dtype stored_dtype(const std::string& name) {
  return name == "bfloat16" ? Dtype::bf16 : name == "float16" ? Dtype::f16 : Dtype::f32;
}

Status write_hf_weights(const std::string& directory, const WeightsView& weights,
                        const std::string& dtype, int64_t max_shard_bytes) {
  const Dtype stored = stored_dtype(dtype);
  const fs::path root(directory);
  LS_RETURN_IF_ERROR(remove_old_weights(root));
  std::vector<WeightSpec> specs;
  for (const TensorView& tensor : weights.tensors) specs.push_back({tensor.name, tensor.shape});
  const std::vector<WeightFile> files = plan_weight_files(specs, stored, max_shard_bytes);
  for (const WeightFile& file : files) {
    std::vector<SafetensorsArray> arrays;
    for (const size_t i : file.tensors) {
      const TensorView& t = weights.tensors[i];
      arrays.push_back({t.name, stored, t.shape, t.data, t.load});
    }
    LS_RETURN_IF_ERROR(write_safetensors((root / file.name).string(), arrays));
  }
  return write_weight_index(directory, files, specs);
}

}  // namespace longshot::model
