#include "model/merge/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "base/os/sampled_checksum.h"
#include "model/format/adapters/adapter.h"
#include "model/format/architecture.h"
#include "model/format/model_path.h"
#include "model/merge/same_model.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

// The files of the model itself; subfolders may contain anything.
Result<std::vector<fs::path>> files_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return std::vector<fs::path>{path};
  LS_ASSIGN_OR_RETURN(const auto names, list_files(path));
  std::vector<fs::path> files;
  for (const fs::path name : names) {
    const std::string kind = name.extension().string();
    const bool read = kind == ".json" || kind == ".jinja" || kind == ".safetensors";
    if (read && !name.has_parent_path()) files.push_back(path / name);
  }
  return files;
}

Status compare_tokenizers(const MergeInput& first, const MergeInput& other) {
  const ModelFiles &a = first.files(), &b = other.files();
  if (a.tokenizer == nullptr && b.tokenizer == nullptr) return ok_status();
  if (a.tokenizer == nullptr || b.tokenizer == nullptr) {
    const MergeInput& without = a.tokenizer == nullptr ? first : other;
    log::warn("{} has no tokenizer; it is taken to have that of the other models", without.path());
    return ok_status();
  }
  LS_RETURN_IF_ERROR(check_same_tokenizer(first.path(), *a.tokenizer, other.path(), *b.tokenizer));
  if (a.chat_template.source() != b.chat_template.source())
    log::warn("{} and {} have different chat templates; the result has that of {}", first.path(),
              other.path(), first.path());
  return ok_status();
}

ModelConfig merged_config(const Recipe& recipe, const MergeInputs& inputs) {
  ModelConfig config = inputs.first().config;
  config.tie_word_embeddings = std::ranges::all_of(
      inputs.models, [](const auto& m) { return m->files().config.tie_word_embeddings; });
  if (!recipe.dtype.empty()) config.dtype = recipe.dtype;
  return config;
}

}  // namespace

Result<MergeInput> MergeInput::open(const std::string& path) {
  MergeInput input;
  input.path_ = path;
  LS_ASSIGN_OR_RETURN(input.found_, find_model(path));
  if (input.found_.ends_with(".gguf") || is_adapter_directory(input.found_)) {
    LS_ASSIGN_OR_RETURN(input.files_, read_any_model(input.found_));
    return input;
  }
  LS_ASSIGN_OR_RETURN(input.files_, read_hf_description(input.found_));
  LS_ASSIGN_OR_RETURN(HfWeights weights, HfWeights::open(input.found_, input.files_.config));
  input.on_disk_ = std::move(weights);
  return input;
}

int64_t MergeInput::bytes_in_memory() const {
  size_t values = 0;
  for (const HostTensor& tensor : files_.weights) values += tensor.data.size();
  return static_cast<int64_t>(values * sizeof(float));
}

ReadBlock MergeInput::reader(const std::string& tensor) const {
  const bool tied = tensor == weight_of(names::kHead) && files_.config.tie_word_embeddings;
  const std::string name = tied ? weight_of(names::kEmbedding) : tensor;
  if (on_disk_) {
    const auto& specs = on_disk_->specs();
    const auto place = std::ranges::find(specs, name, &WeightSpec::name) - specs.begin();
    return [this, place](int64_t begin, std::span<float> out) {
      return on_disk_->read(static_cast<size_t>(place), begin, out);
    };
  }
  const HostTensor& held = *std::ranges::find(files_.weights, name, &HostTensor::name);
  return [&held](int64_t begin, std::span<float> out) {
    std::copy_n(held.data.begin() + begin, out.size(), out.begin());
    return ok_status();
  };
}

Result<std::string> MergeInput::fingerprint() const {
  constexpr size_t kSamples = 16;
  std::string text;
  std::vector<std::string> paths = {found_};
  if (is_adapter_directory(found_)) {
    LS_ASSIGN_OR_RETURN(const std::string base, adapter_base(found_));
    paths.push_back(base);
  }
  for (const std::string& path : paths) {
    LS_ASSIGN_OR_RETURN(const auto files, files_of(path));
    for (const fs::path& file : files) {
      LS_ASSIGN_OR_RETURN(const uint64_t sum, sampled_checksum(file, kSamples));
      text += fmt::format("{} {:x} ", file.filename().string(), sum);
    }
  }
  return fmt::format("{:016x}", checksum(text));
}

const MergeInput& MergeInputs::find(const std::string& path) const {
  return **std::ranges::find_if(models, [&](const auto& m) { return m->path() == path; });
}

Result<MergeInputs> open_inputs(const Recipe& recipe) {
  MergeInputs inputs;
  std::vector<std::string> paths;
  if (!recipe.base_model.empty()) paths.push_back(recipe.base_model);
  for (const RecipeModel& model : recipe.models) paths.push_back(model.path);
  for (const std::string& path : paths) {
    if (inputs.fingerprints_.contains(path)) continue;
    LS_ASSIGN_OR_RETURN(MergeInput input, MergeInput::open(path));
    LS_ASSIGN_OR_RETURN(inputs.fingerprints_[path], input.fingerprint());
    inputs.models.push_back(std::make_unique<MergeInput>(std::move(input)));
    if (inputs.models.size() == 1) continue;
    const MergeInput &first = *inputs.models.front(), &other = *inputs.models.back();
    LS_RETURN_IF_ERROR(check_same_architecture({first.path(), &first.files().config},
                                               {other.path(), &other.files().config}));
    LS_RETURN_IF_ERROR(compare_tokenizers(first, other));
  }
  inputs.config = merged_config(recipe, inputs);
  inputs.tensors = expected_weights(inputs.config);
  return inputs;
}

TensorMerge plan_tensor(const Recipe& recipe, const MergeInputs& inputs, const WeightSpec& tensor) {
  const double depth = depth_of(tensor.name, inputs.config.num_layers);
  TensorMerge merge{.name = tensor.name,
                    .method = recipe.method,
                    .normalize = recipe.normalizes(),
                    .rescale = recipe.rescales(),
                    .seed = static_cast<uint64_t>(recipe.seed)};
  merge.elements = 1;
  for (const int64_t extent : tensor.shape) merge.elements *= extent;
  merge.t = recipe.number("t", nullptr, tensor.name, depth, 0);
  merge.lambda = recipe.number("lambda", nullptr, tensor.name, depth, 1);
  const bool average = recipe.method == MergeMethod::linear;
  if (!average) merge.base = inputs.find(recipe.base_model).reader(tensor.name);
  for (size_t i = 0; i < recipe.models.size(); ++i) {
    const RecipeModel& model = recipe.models[i];
    if (!average && model.path == recipe.base_model) continue;
    merge.inputs.push_back({inputs.find(model.path).reader(tensor.name),
                            recipe.number("weight", &model, tensor.name, depth, 1),
                            recipe.number("density", &model, tensor.name, depth, 1), i});
  }
  return merge;
}

}  // namespace longshot::model
