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

// The open files of a model and where each tensor is.
struct OpenWeights {
  std::vector<SafetensorsFile> files;
  struct Place {
    const SafetensorsEntry* entry;
    const SafetensorsFile* file;
  };
  std::map<std::string, Place> tensors;
};

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

Result<OpenWeights> open_weights(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(const std::set<std::string> names, weight_file_names(directory));
  OpenWeights open;
  open.files.reserve(names.size());  // Place points into it, so it must not move
  for (const std::string& name : names) {
    LS_ASSIGN_OR_RETURN(SafetensorsFile file,
                        SafetensorsFile::open((fs::path(directory) / name).string()));
    open.files.push_back(std::move(file));
    for (const auto& [tensor, entry] : open.files.back().entries()) {
      const auto [it, inserted] =
          open.tensors.emplace(tensor, OpenWeights::Place{&entry, &open.files.back()});
      if (!inserted) {
        return corrupt(fmt::format("tensor '{}' is in {} and in {}", tensor,
                                   it->second.file->path(), open.files.back().path()));
      }
    }
  }
  return open;
}

// Adds the names that the architecture expects. Checkpoints of only the body (AutoModel's) lack the
// first part of the names. A tied head is one matrix with two names, either of which may be stored.
void add_usual_names(const ModelConfig& config, OpenWeights& open) {
  const std::string prefix = "model.";
  const bool body = std::ranges::none_of(
      open.tensors, [&](const auto& named) { return named.first.starts_with(prefix); });
  if (body && open.tensors.contains("embed_tokens.weight")) {
    std::map<std::string, OpenWeights::Place> named;
    for (const auto& [name, place] : open.tensors) {
      const bool head = name == kHead || name == "score.weight";
      named[head ? name : prefix + name] = place;
    }
    open.tensors = std::move(named);
  }
  const auto head = open.tensors.find(kHead);
  if (config.tie_word_embeddings && head != open.tensors.end())
    open.tensors.emplace(kEmbedding, head->second);  // does nothing if the embedding is stored
}

// True if two tensors contain the same numbers, possibly in different formats.
bool are_equal(const SafetensorsEntry& a, const SafetensorsEntry& b) {
  if (a.shape != b.shape) return false;
  if (a.dtype == b.dtype) return a.bytes == b.bytes;
  std::vector<float> x(a.elements()), y(b.elements());
  return copy_as_f32(a, x.data()).ok() && copy_as_f32(b, y.data()).ok() && x == y;
}

// True for a tensor that transformers also ignores: buffers that older versions stored, the copy of
// a tied head.
bool is_harmless_extra(const std::string& name, const OpenWeights& open,
                       const ModelConfig& config) {
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  if (name != kHead || !config.tie_word_embeddings) return false;
  const auto head = open.tensors.find(kHead), embedding = open.tensors.find(kEmbedding);
  return embedding != open.tensors.end() &&
         are_equal(*head->second.entry, *embedding->second.entry);
}

Status check_extras(const OpenWeights& open, const ModelConfig& config,
                    const std::vector<WeightSpec>& specs) {
  std::set<std::string> expected;
  for (const WeightSpec& spec : specs) expected.insert(spec.name);
  for (const auto& [name, place] : open.tensors) {
    if (expected.contains(name) || is_harmless_extra(name, open, config)) continue;
    if (name == kHead) {
      return corrupt(place.file->path() +
                     ": lm_head.weight differs from the embedding, but config.json "
                     "says tie_word_embeddings; set it to false to use both");
    }
    return corrupt(fmt::format("{}: tensor '{}' {} is none of this {} model's", place.file->path(),
                               name, shape_text(place.entry->shape), config.model_type));
  }
  return ok_status();
}

Result<HostTensor> read_tensor(const OpenWeights& open, const WeightSpec& spec,
                               const std::string& where) {
  const auto it = open.tensors.find(spec.name);
  if (it == open.tensors.end()) {
    const char* advice = spec.name == kHead
                             ? "; if the head is the embedding, config.json has to say "
                               "\"tie_word_embeddings\": true"
                             : "";
    return corrupt(fmt::format("{}: tensor '{}' {} is missing{}", where, spec.name,
                               shape_text(spec.shape), advice));
  }
  const auto& [entry, file] = it->second;
  if (entry->shape != spec.shape) {
    return corrupt(fmt::format("{}: tensor '{}' has shape {}, the configuration asks for {}",
                               file->path(), spec.name, shape_text(entry->shape),
                               shape_text(spec.shape)));
  }
  HostTensor tensor{spec.name, spec.shape,
                    std::vector<float>(static_cast<size_t>(entry->elements()))};
  LS_RETURN_IF_ERROR(copy_as_f32(*entry, tensor.data.data()).with_context(file->path()));
  return tensor;
}

// Assigns tensors to shards, greedily in order. A shard exceeds the limit only if it contains a
// single tensor.
std::vector<std::vector<const TensorView*>> plan_shards(const std::vector<TensorView>& tensors,
                                                        int64_t element_size, int64_t max_bytes,
                                                        int64_t& total) {
  std::vector<std::vector<const TensorView*>> shards(1);
  int64_t used = 0;
  for (const TensorView& tensor : tensors) {
    int64_t bytes = element_size;
    for (int64_t extent : tensor.shape) bytes *= extent;
    if (used + bytes > max_bytes && !shards.back().empty()) {
      shards.emplace_back();
      used = 0;
    }
    shards.back().push_back(&tensor);
    used += bytes;
    total += bytes;
  }
  return shards;
}

Status write_shard(const fs::path& path, const std::vector<const TensorView*>& tensors,
                   Dtype dtype) {
  std::vector<SafetensorsArray> arrays;
  for (const TensorView* t : tensors)
    arrays.push_back({t->name, dtype, t->shape, t->data, t->load});
  return write_safetensors(path.string(), arrays);
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

}  // namespace

Result<std::vector<HostTensor>> read_hf_weights(const std::string& directory,
                                                const ModelConfig& config) {
  LS_ASSIGN_OR_RETURN(OpenWeights open, open_weights(directory));
  add_usual_names(config, open);
  const std::vector<WeightSpec> specs = expected_weights(config);
  LS_RETURN_IF_ERROR(check_extras(open, config, specs));
  std::vector<HostTensor> tensors;
  tensors.reserve(specs.size());
  for (const WeightSpec& spec : specs) {
    LS_ASSIGN_OR_RETURN(HostTensor tensor, read_tensor(open, spec, directory));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Status write_hf_weights(const std::string& directory, const WeightsView& weights,
                        const std::string& dtype, int64_t max_shard_bytes) {
  const Dtype stored = dtype == "bfloat16"  ? Dtype::bf16
                       : dtype == "float16" ? Dtype::f16
                                            : Dtype::f32;
  const fs::path root(directory);
  LS_RETURN_IF_ERROR(remove_old_weights(root));
  int64_t total = 0;
  const auto shards = plan_shards(weights.tensors, dtype_size(stored), max_shard_bytes, total);
  if (shards.size() == 1) return write_shard(root / kSingle, shards[0], stored);
  Json map = Json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    LS_RETURN_IF_ERROR(write_shard(root / name, shards[i], stored));
    for (const TensorView* tensor : shards[i]) map[tensor->name] = name;
  }
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  return write_file_durable(root / kIndex, dump_json(index, 2) + "\n");
}

}  // namespace longshot::model
