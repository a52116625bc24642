#include "model/format/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "base/os/fs.h"
#include "base/rng.h"
#include "model/format/adapters/adapter.h"
#include "model/format/architecture.h"
#include "model/format/gguf/gguf_model.h"
#include "model/format/hf_weights.h"
#include "model/format/model_path.h"
#include "model/format/safetensors.h"
#include "tokenizer/tokenizer_files.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kGenerationConfig = "generation_config.json";

Result<ModelConfig> read_hf_config(const std::string& directory) {
  const fs::path root(directory);
  if (!fs::is_directory(root)) {
    return not_found(
        fmt::format("{}: no such model (expected a Hugging Face model directory or a .gguf "
                    "file)",
                    directory));
  }
  const std::string config_path = (root / kConfig).string();
  LS_ASSIGN_OR_RETURN(const Json json, read_json_file(config_path));
  LS_ASSIGN_OR_RETURN(ModelConfig config, config_from_json(json, config_path));
  const std::string generation_path = (root / kGenerationConfig).string();
  if (fs::exists(generation_path)) {
    LS_ASSIGN_OR_RETURN(const Json generation, read_json_file(generation_path));
    LS_RETURN_IF_ERROR(apply_generation_config(generation, generation_path, config));
  }
  return config;
}

Result<ModelFiles> read_hf_model(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(ModelFiles files, read_hf_description(directory));
  LS_ASSIGN_OR_RETURN(files.weights, read_hf_weights(directory, files.config));
  return files;
}

bool is_gguf_path(const std::string& path) {
  return path.ends_with(".gguf");
}

Result<ModelFiles> read_gguf_model(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  ModelFiles files;
  LS_ASSIGN_OR_RETURN(files.config, read_gguf_config(file));
  LS_ASSIGN_OR_RETURN(files.weights, read_gguf_weights(file, files.config));
  LS_ASSIGN_OR_RETURN(const tokenizer::GgufVocabulary vocabulary, read_gguf_vocabulary(file));
  if (vocabulary.tokens.empty()) return files;
  auto tokenizer = tokenizer::make_gguf_tokenizer(vocabulary);
  if (!tokenizer.ok()) return tokenizer.status().with_context(path);
  files.tokenizer = std::move(tokenizer).value();
  files.chat_template = tokenizer::ChatTemplate::of_gguf(vocabulary);
  return files;
}

// The base model of an adapter directory.
Result<std::string> base_of_adapter(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(const std::string base, adapter_base(directory));
  const std::string advice = fmt::format(
      "; merge it with longshot convert --model BASE --adapter {} --output DIR", directory);
  if (base.empty() || !fs::exists(base)) {
    return not_found(
        fmt::format("{}: its base model '{}' is not on this machine{}", directory, base, advice));
  }
  if (is_adapter_directory(base)) {
    return invalid_argument(fmt::format(
        "{}: its base model {} is an adapter itself; merge that first", directory, base));
  }
  return base;
}

Result<ModelFiles> read_merged(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(const std::string base, base_of_adapter(directory));
  LS_ASSIGN_OR_RETURN(ModelFiles files, read_any_model(base));
  LS_RETURN_IF_ERROR(apply_adapter(directory, files));
  return files;
}

Status check_view(const WeightsView& weights) {
  LS_RETURN_IF_ERROR(check_config(weights.config, "cannot write the model"));
  const std::vector<WeightSpec> specs = expected_weights(weights.config);
  LS_CHECK(specs.size() == weights.tensors.size(), "the view has another number of tensors");
  for (size_t i = 0; i < specs.size(); ++i) {
    const TensorView& tensor = weights.tensors[i];
    LS_CHECK(tensor.name == specs[i].name && tensor.shape == specs[i].shape &&
                 (tensor.data != nullptr || tensor.load != nullptr),
             "view has " + tensor.name + " " + shape_text(tensor.shape) + " in place of " +
                 specs[i].name + " " + shape_text(specs[i].shape));
  }
  return ok_status();
}

Status write_tokenizer_files(const fs::path& directory, const tokenizer::Tokenizer* tokenizer,
                             const tokenizer::ChatTemplate* chat_template) {
  if (tokenizer != nullptr) LS_RETURN_IF_ERROR(tokenizer->save(directory.string()));
  if (chat_template == nullptr || chat_template->source().empty()) return ok_status();
  const auto& named = chat_template->named_sources();
  const fs::path more = directory / "additional_chat_templates";
  std::error_code error;
  if (!named.empty()) fs::create_directories(more, error);
  if (error) return io_error("cannot create " + more.string() + ": " + error.message());
  for (const auto& [name, source] : named)
    LS_RETURN_IF_ERROR(write_file_durable(more / (name + ".jinja"), source));
  return write_file_durable(directory / "chat_template.jinja", chat_template->source());
}

// The padding token, by the names that Llama 2 and many other models, Llama 3, or Qwen and SmolLM2
// use. A name of an end-of-sequence token is skipped.
std::optional<int> padding_of(const ModelFiles& files) {
  for (const char* name : {"<pad>", "<|finetune_right_pad_id|>", "<|endoftext|>"}) {
    const auto id = files.tokenizer->token_to_id(name);
    const auto& ends = files.config.eos_token_ids;
    if (id && std::find(ends.begin(), ends.end(), *id) == ends.end()) return id;
  }
  return std::nullopt;
}

Status fsync_all(const fs::path& directory) {
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> names, list_files(directory));
  for (const std::string& name : names) LS_RETURN_IF_ERROR(fsync_path(directory / name));
  return fsync_path(directory);
}

}  // namespace

Result<ModelFiles> read_hf_description(const std::string& directory) {
  ModelFiles files;
  LS_ASSIGN_OR_RETURN(files.config, read_hf_config(directory));
  if (tokenizer::holds_tokenizer(directory)) {
    LS_ASSIGN_OR_RETURN(files.tokenizer, tokenizer::load_tokenizer(directory));
  }
  LS_ASSIGN_OR_RETURN(files.chat_template, tokenizer::ChatTemplate::load(directory));
  return files;
}

Result<ModelConfig> read_model_config(const std::string& given) {
  LS_ASSIGN_OR_RETURN(const std::string path, find_model(given));
  if (is_adapter_directory(path)) {
    LS_ASSIGN_OR_RETURN(const std::string base, base_of_adapter(path));
    LS_ASSIGN_OR_RETURN(ModelConfig config, read_model_config(base));
    LS_RETURN_IF_ERROR(apply_adapter_config(path, config));
    return config;
  }
  if (!is_gguf_path(path)) return read_hf_config(path);
  LS_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  return read_gguf_config(file);
}

Result<ModelFiles> read_any_model(const std::string& given) {
  LS_ASSIGN_OR_RETURN(const std::string path, find_model(given));
  if (is_adapter_directory(path)) return read_merged(path);
  return is_gguf_path(path) ? read_gguf_model(path) : read_hf_model(path);
}

Result<ModelFiles> read_model(const std::string& path) {
  LS_ASSIGN_OR_RETURN(ModelFiles files, read_any_model(path));
  if (!files.config.score_head) return files;
  return invalid_argument(
      path +
      " is a reward model: it scores texts and generates none (longshot rm-eval, reward rm)");
}

Result<ModelFiles> read_reward_model(const std::string& path) {
  LS_ASSIGN_OR_RETURN(ModelFiles files, read_any_model(path));
  if (files.config.score_head) return files;
  return invalid_argument(
      path + " is a language model without a score; longshot rm makes a reward model of it");
}

void add_score_head(ModelFiles& files, uint64_t seed) {
  constexpr double kStd = 0.02;  // transformers' initializer_range
  ModelConfig& config = files.config;
  LS_CHECK(!config.score_head, "the head is a score already");
  config.score_head = true;
  if (!config.pad_token_id && files.tokenizer != nullptr) config.pad_token_id = padding_of(files);
  std::erase_if(files.weights,
                [](const HostTensor& t) { return t.name == weight_of(names::kHead); });
  HostTensor score{"score.weight", {1, config.hidden_size}, {}};
  CounterRng rng(hash_combine(seed, hash64(score.name)));
  for (int i = 0; i < config.hidden_size; ++i)
    score.data.push_back(static_cast<float>(kStd * rng.next_normal()));
  files.weights.push_back(std::move(score));
}

Status write_model(const std::string& directory, const WeightsView& weights,
                   const tokenizer::Tokenizer* tokenizer,
                   const tokenizer::ChatTemplate* chat_template, const std::string& dtype,
                   int64_t max_shard_bytes) {
  if (dtype != "float32" && dtype != "bfloat16" && dtype != "float16") {
    return invalid_argument("dtype '" + dtype + "' is not float32, bfloat16 or float16");
  }
  if (max_shard_bytes <= 0) return invalid_argument("the shard size must be positive");
  LS_RETURN_IF_ERROR(check_view(weights));
  const fs::path root(directory);
  LS_RETURN_IF_ERROR(make_directories(root));
  ModelConfig config = weights.config;
  config.dtype = dtype;
  LS_RETURN_IF_ERROR(write_hf_weights(directory, weights, dtype, max_shard_bytes));
  LS_RETURN_IF_ERROR(write_model_description(directory, config, tokenizer, chat_template));
  return fsync_all(root);
}

Status write_model_description(const std::string& directory, const ModelConfig& config,
                               const tokenizer::Tokenizer* tokenizer,
                               const tokenizer::ChatTemplate* chat_template) {
  const fs::path root(directory);
  LS_RETURN_IF_ERROR(
      write_file_durable(root / kConfig, dump_json(config_to_json(config), 2) + "\n"));
  LS_RETURN_IF_ERROR(write_file_durable(root / kGenerationConfig,
                                        dump_json(generation_config_to_json(config), 2) + "\n"));
  return write_tokenizer_files(root, tokenizer, chat_template);
}

}  // namespace longshot::model
