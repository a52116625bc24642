#include "model/format/gguf/gguf_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/log.h"
#include "model/format/architecture.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

constexpr const char* kEmbedding = "token_embd.weight";
constexpr const char* kRopeFactors = "rope_freqs.weight";

// The Hugging Face and GGUF names of the modules outside the layers (gguf-py, tensor_mapping.py).
struct NamePair {
  const char* hf;
  const char* gguf;
};
constexpr NamePair kOuterNames[] = {{names::kEmbedding, "token_embd"},
                                    {names::kFinalNorm, "output_norm"},
                                    {names::kHead, "output"}};

// "model.layers.3.self_attn.q_proj.weight" -> "blk.3.attn_q.weight".
std::string gguf_name(const std::string& hf_name) {
  const size_t dot = hf_name.rfind('.');
  const std::string module = hf_name.substr(0, dot), kind = hf_name.substr(dot);
  const std::string layers = names::kLayers;
  if (!module.starts_with(layers)) {
    for (const NamePair& pair : kOuterNames)
      if (module == pair.hf) return pair.gguf + kind;
  } else {
    const size_t end = module.find('.', layers.size());
    const std::string prefix = "blk." + module.substr(layers.size(), end - layers.size()) + ".";
    for (const ModuleName& each : layer_modules())
      if (module.substr(end + 1) == each.name) return prefix + each.gguf + kind;
  }
  LS_CHECK(false, "no GGUF name for " + hf_name);
}

// A metadata key after the architecture's prefix, and the matching key of config.json.
struct KeyPair {
  const char* gguf;
  const char* hf;
  bool required;
};
constexpr KeyPair kKeys[] = {{"embedding_length", "hidden_size", true},
                             {"feed_forward_length", "intermediate_size", true},
                             {"block_count", "num_hidden_layers", true},
                             {"attention.head_count", "num_attention_heads", true},
                             {"attention.head_count_kv", "num_key_value_heads", false},
                             {"attention.key_length", "head_dim", false},
                             {"context_length", "max_position_embeddings", false},
                             {"attention.layer_norm_rms_epsilon", "rms_norm_eps", true},
                             {"rope.freq_base", "rope_theta", false}};

// Refuses keys with values that change the model. A window is accepted if no sequence can be
// longer, because it then hides nothing.
Status check_unsupported(const GgufFile& file, const std::string& architecture) {
  const auto get = [&](const std::string& key) { return file.scalar(key); };
  LS_ASSIGN_OR_RETURN(const Json context, get(architecture + ".context_length"));
  LS_ASSIGN_OR_RETURN(const Json window, get(architecture + ".attention.sliding_window"));
  const bool hides =
      window.is_number() && window != 0 && !(context.is_number() && window >= context);
  const struct {
    std::string key;
    Json plain;
  } keys[] = {{"general.type", "model"},
              {"split.count", 1},
              {architecture + ".expert_count", 0},
              {architecture + ".attention.scale", 0.0},
              {architecture + ".logit_scale", 0.0},
              {architecture + ".residual_scale", 0.0},
              {architecture + ".embedding_scale", 0.0},
              {architecture + ".attention.causal", true}};
  for (const auto& [key, plain] : keys) {
    LS_ASSIGN_OR_RETURN(const Json value, get(key));
    if (value.is_null() || value == plain || (key == "split.count" && value == 0)) continue;
    const char* advice =
        key == "split.count" ? "; join the files with llama-gguf-split --merge" : "";
    return invalid_argument(
        fmt::format("{}: {} {} is not supported{}", file.path(), key, dump_json(value), advice));
  }
  if (!hides) return ok_status();
  return invalid_argument(fmt::format("{}: {}.attention.sliding_window {} is not supported",
                                      file.path(), architecture, dump_json(window)));
}

// rope.scaling.* in terms of config.json, with llama.cpp's defaults (llama-model.cpp,
// ggml_rope_yarn): a factor without a type is linear, and so is the older key rope.scale_linear.
Result<Json> rope_scaling_words(const GgufFile& file, const std::string& architecture) {
  const auto get = [&](const char* key) { return file.scalar(architecture + ".rope." + key); };
  LS_ASSIGN_OR_RETURN(Json type, get("scaling.type"));
  LS_ASSIGN_OR_RETURN(Json factor, get("scaling.factor"));
  if (factor.is_null()) {
    LS_ASSIGN_OR_RETURN(factor, get("scale_linear"));
  }
  const bool plain = factor.is_null() || factor == 0.0 || factor == 1.0;
  if (type == "none" || (plain && (type.is_null() || type == "linear"))) return Json();
  if (type.is_null()) type = "linear";
  if (type == "linear") return Json{{"rope_type", "linear"}, {"factor", factor}};
  LS_ASSIGN_OR_RETURN(const Json log_multiplier, get("scaling.yarn_log_multiplier"));
  const bool multiplied = !log_multiplier.is_null() && log_multiplier != 0.0;
  if (type != "yarn" || !factor.is_number() || multiplied) {
    return invalid_argument(fmt::format(
        "{}: {}.rope.scaling.type {}{} is not supported (none, linear and yarn with a factor are)",
        file.path(), architecture, dump_json(type), multiplied ? " with yarn_log_multiplier" : ""));
  }
  Json json = {{"rope_type", "yarn"}, {"factor", factor}};
  LS_ASSIGN_OR_RETURN(json["original_max_position_embeddings"],
                      get("scaling.original_context_length"));
  LS_ASSIGN_OR_RETURN(json["beta_fast"], get("scaling.yarn_beta_fast"));
  LS_ASSIGN_OR_RETURN(json["beta_slow"], get("scaling.yarn_beta_slow"));
  LS_ASSIGN_OR_RETURN(Json attention, get("scaling.yarn_attn_factor"));
  if (attention.is_null()) {
    LS_ASSIGN_OR_RETURN(attention, get("scaling.attn_factor"));
  }
  if (attention.is_number() && attention != 1.0)
    json["attention_factor"] = attention.get<double>() * (1 + 0.1 * std::log(factor.get<double>()));
  return json;
}

// Checks that queries, keys, values and the rotary embedding have the same head dimension.
Status check_head_dims(const GgufFile& file, const ModelConfig& config) {
  for (const char* suffix :
       {"rope.dimension_count", "attention.key_length", "attention.value_length"}) {
    const std::string key = config.model_type + "." + suffix;
    LS_ASSIGN_OR_RETURN(const Json value, file.scalar(key));
    if (!value.is_null() && value != config.head_dim) {
      return invalid_argument(
          fmt::format("{}: {} {} differs from the head dimension {}, which is not supported",
                      file.path(), key, dump_json(value), config.head_dim));
    }
  }
  return ok_status();
}

// llama.cpp writes Llama 3's rope scaling as one divisor per frequency. Its parameters are
// recovered: all published models have low_freq_factor 1, high_freq_factor 4 and 8192 original
// positions.
Status read_rope_factors(const GgufFile& file, ModelConfig& config) {
  const GgufTensor* tensor = file.find_tensor(kRopeFactors);
  if (tensor == nullptr) return ok_status();
  if (config.rope_scaling) {
    return invalid_argument(
        fmt::format("{}: both rope.scaling.type and '{}' are set, which is not supported",
                    file.path(), kRopeFactors));
  }
  const std::vector<float> plain = rope_of(config, 1).inverse_frequencies;
  if (tensor->elements() != static_cast<int64_t>(plain.size())) {
    return corrupt(fmt::format("{}: tensor '{}' {} should have {} values", file.path(),
                               kRopeFactors, shape_text(tensor->shape), plain.size()));
  }
  std::vector<float> divisors(plain.size());
  dequantize(*tensor->type, tensor->bytes.data(), tensor->elements(), divisors.data());
  const float factor = *std::max_element(divisors.begin(), divisors.end());
  if (factor == 1 && *std::min_element(divisors.begin(), divisors.end()) == 1) return ok_status();
  config.rope_scaling = RopeScaling::llama3(factor, 1, 4, 8192);
  const std::vector<float> scaled = rope_of(config, 1).inverse_frequencies;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (!(std::abs(plain[i] / divisors[i] - scaled[i]) <= 1e-4f * scaled[i])) {
      return invalid_argument(
          fmt::format("{}: '{}' is not a Llama 3 rope scaling", file.path(), kRopeFactors));
    }
  }
  return ok_status();
}

// The tokens that llama.cpp treats as the end of an answer if no key names one (llama-vocab.cpp).
Result<Json> ends_by_name(const GgufFile& file) {
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> tokens, file.strings("tokenizer.ggml.tokens"));
  const std::set<std::string> names = {
      "<|eot_id|>", "<|im_end|>",      "<|end|>", "<end_of_turn>", "<|endoftext|>",
      "<|eom_id|>", "<|end_of_text|>", "<EOT>",   "[EOT]",         "<｜end▁of▁sentence｜>"};
  Json ids = Json::array();
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (names.contains(tokens[id])) ids.push_back(id);
  }
  if (!tokens.empty()) {
    log::warn("{}: no key names the end of a text; {} of the vocabulary's tokens are known ones",
              file.path(), ids.size());
  }
  return ids;
}

Status read_token_ids(const GgufFile& file, Json& json) {
  LS_ASSIGN_OR_RETURN(json["bos_token_id"], file.scalar("tokenizer.ggml.bos_token_id"));
  Json eos = Json::array();
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    LS_ASSIGN_OR_RETURN(const Json id, file.scalar(key));
    if (!id.is_null() && std::find(eos.begin(), eos.end(), id) == eos.end()) eos.push_back(id);
  }
  if (eos.empty()) {
    LS_ASSIGN_OR_RETURN(eos, ends_by_name(file));
  }
  json["eos_token_id"] = eos;
  return ok_status();
}

std::string dtype_of(const GgufTensor& tensor) {
  const std::string name = tensor.type->name;
  return name == "F16" ? "float16" : name == "BF16" ? "bfloat16" : "float32";
}

// The row of the file that contains row `row` of Hugging Face's matrix. Within a head, llama.cpp's
// converter turns [2, head_dim / 2] into [head_dim / 2, 2] (convert_hf_to_gguf.py,
// LlamaModel.permute).
int64_t interleaved_row(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, within = row % head_dim, half = head_dim / 2;
  return head * head_dim + within % half * 2 + within / half;
}

bool is_interleaved(const std::string& hf_name, const ModelConfig& config) {
  return config.model_type == "llama" && (hf_name.find(".q_proj.") != std::string::npos ||
                                          hf_name.find(".k_proj.") != std::string::npos);
}

Status dequantize_interleaved(const GgufTensor& source, int64_t head_dim, HostTensor& target) {
  const GgmlType& type = *source.type;
  const int64_t rows = target.shape[0], width = source.elements() / rows;
  if (width % type.block_elements != 0) {
    return corrupt(
        fmt::format("tensor '{}' of format {} cannot be split into rows", source.name, type.name));
  }
  const int64_t row_bytes = width / type.block_elements * type.block_bytes;
  for (int64_t row = 0; row < rows; ++row) {
    dequantize(type, source.bytes.data() + interleaved_row(row, head_dim) * row_bytes, width,
               target.data.data() + row * width);
  }
  return ok_status();
}

Result<HostTensor> read_tensor(const GgufFile& file, const WeightSpec& spec,
                               const ModelConfig& config) {
  const std::string name = gguf_name(spec.name);
  const GgufTensor* source = file.find_tensor(name);
  if (source == nullptr) {
    return corrupt(
        fmt::format("{}: tensor '{}' {} is missing", file.path(), name, shape_text(spec.shape)));
  }
  if (source->shape != spec.shape) {
    return corrupt(fmt::format("{}: tensor '{}' has shape {}, the configuration asks for {}",
                               file.path(), name, shape_text(source->shape),
                               shape_text(spec.shape)));
  }
  HostTensor tensor{spec.name, spec.shape,
                    std::vector<float>(static_cast<size_t>(source->elements()))};
  if (is_interleaved(spec.name, config)) {
    LS_RETURN_IF_ERROR(
        dequantize_interleaved(*source, config.head_dim, tensor).with_context(file.path()));
  } else {
    dequantize(*source->type, source->bytes.data(), source->elements(), tensor.data.data());
  }
  return tensor;
}

Status check_extras(const GgufFile& file, const std::vector<WeightSpec>& specs,
                    const ModelConfig& config) {
  std::set<std::string> expected = {kRopeFactors};  // already part of the configuration
  for (const WeightSpec& spec : specs) expected.insert(gguf_name(spec.name));
  for (const auto& [name, tensor] : file.tensors()) {
    if (!expected.contains(name)) {
      return corrupt(fmt::format("{}: tensor '{}' {} is none of this {} model's", file.path(), name,
                                 shape_text(tensor.shape), config.model_type));
    }
  }
  return ok_status();
}

// The file's metadata as a config.json.
Result<Json> config_words(const GgufFile& file, const GgufTensor& embedding) {
  LS_ASSIGN_OR_RETURN(const Json architecture, file.scalar("general.architecture"));
  if (architecture != "llama" && architecture != "qwen2" && architecture != "qwen3") {
    return invalid_argument(
        fmt::format("{}: general.architecture {} is not supported (llama, qwen2, qwen3)",
                    file.path(), dump_json(architecture)));
  }
  const std::string prefix = architecture.get<std::string>();
  LS_RETURN_IF_ERROR(check_unsupported(file, prefix));
  Json json = {
      {"model_type", prefix}, {"vocab_size", embedding.shape[0]}, {"dtype", dtype_of(embedding)}};
  for (const KeyPair& pair : kKeys) {
    const std::string key = prefix + "." + pair.gguf;
    LS_ASSIGN_OR_RETURN(json[pair.hf], file.uniform(key));
    if (pair.required && json[pair.hf].is_null()) {
      return corrupt(fmt::format("{}: key '{}' is missing", file.path(), key));
    }
  }
  json["tie_word_embeddings"] = file.find_tensor("output.weight") == nullptr;
  if (prefix != "qwen2") json["attention_bias"] = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  if (prefix == "llama") json["mlp_bias"] = file.find_tensor("blk.0.ffn_gate.bias") != nullptr;
  LS_ASSIGN_OR_RETURN(json["rope_scaling"], rope_scaling_words(file, prefix));
  LS_RETURN_IF_ERROR(read_token_ids(file, json));
  return json;
}

Result<std::string> text_or_empty(const GgufFile& file, const char* key) {
  LS_ASSIGN_OR_RETURN(const Json value, file.scalar(key));
  if (value.is_null()) return std::string();
  if (!value.is_string())
    return corrupt(fmt::format("{}: key '{}' is not a string", file.path(), key));
  return value.get<std::string>();
}

// None if the key does not exist. Some writers store 0 and 1 instead of a bool.
Result<std::optional<bool>> flag(const GgufFile& file, const char* key) {
  LS_ASSIGN_OR_RETURN(const Json value, file.scalar(key));
  if (value.is_null()) return std::optional<bool>();
  if (value.is_boolean()) return std::optional<bool>(value.get<bool>());
  if (value == 0 || value == 1) return std::optional<bool>(value == 1);
  return corrupt(
      fmt::format("{}: key '{}' is {}, expected a bool", file.path(), key, dump_json(value)));
}

Result<std::optional<tokenizer::TokenId>> token_id(const GgufFile& file, const char* key,
                                                   size_t tokens) {
  LS_ASSIGN_OR_RETURN(const Json value, file.scalar(key));
  if (value.is_null()) return std::optional<tokenizer::TokenId>();
  if (!value.is_number_integer() || value < 0 || value >= tokens) {
    return corrupt(fmt::format("{}: key '{}' is {}, no id of the {} tokens", file.path(), key,
                               dump_json(value), tokens));
  }
  return std::optional<tokenizer::TokenId>(value.get<tokenizer::TokenId>());
}

}  // namespace

Result<ModelConfig> read_gguf_config(const GgufFile& file) {
  const GgufTensor* embedding = file.find_tensor(kEmbedding);
  if (embedding == nullptr || embedding->shape.size() != 2) {
    return corrupt(fmt::format("{}: tensor '{}' is missing or no matrix", file.path(), kEmbedding));
  }
  LS_ASSIGN_OR_RETURN(const Json json, config_words(file, *embedding));
  LS_ASSIGN_OR_RETURN(ModelConfig config, config_from_json(json, file.path()));
  LS_RETURN_IF_ERROR(check_head_dims(file, config));
  LS_RETURN_IF_ERROR(read_rope_factors(file, config));
  return config;
}

Result<std::vector<HostTensor>> read_gguf_weights(const GgufFile& file, const ModelConfig& config) {
  const std::vector<WeightSpec> specs = expected_weights(config);
  LS_RETURN_IF_ERROR(check_extras(file, specs, config));
  std::vector<HostTensor> tensors;
  tensors.reserve(specs.size());
  for (const WeightSpec& spec : specs) {
    LS_ASSIGN_OR_RETURN(HostTensor tensor, read_tensor(file, spec, config));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Result<tokenizer::GgufVocabulary> read_gguf_vocabulary(const GgufFile& file) {
  tokenizer::GgufVocabulary v;
  LS_ASSIGN_OR_RETURN(v.model, text_or_empty(file, "tokenizer.ggml.model"));
  LS_ASSIGN_OR_RETURN(v.pre, text_or_empty(file, "tokenizer.ggml.pre"));
  LS_ASSIGN_OR_RETURN(v.tokens, file.strings("tokenizer.ggml.tokens"));
  LS_ASSIGN_OR_RETURN(v.token_types, file.integers("tokenizer.ggml.token_type"));
  LS_ASSIGN_OR_RETURN(v.merges, file.strings("tokenizer.ggml.merges"));
  LS_ASSIGN_OR_RETURN(v.chat_template, text_or_empty(file, "tokenizer.chat_template"));
  if (v.tokens.empty()) return v;  // a file without a vocabulary may still name special ids
  if (v.token_types.empty()) v.token_types.assign(v.tokens.size(), 1);
  if (v.token_types.size() != v.tokens.size()) {
    return corrupt(fmt::format("{}: {} tokens but {} token types", file.path(), v.tokens.size(),
                               v.token_types.size()));
  }
  const size_t n = v.tokens.size();
  LS_ASSIGN_OR_RETURN(v.bos, token_id(file, "tokenizer.ggml.bos_token_id", n));
  LS_ASSIGN_OR_RETURN(v.eos, token_id(file, "tokenizer.ggml.eos_token_id", n));
  LS_ASSIGN_OR_RETURN(v.pad, token_id(file, "tokenizer.ggml.padding_token_id", n));
  LS_ASSIGN_OR_RETURN(v.unknown, token_id(file, "tokenizer.ggml.unknown_token_id", n));
  LS_ASSIGN_OR_RETURN(v.add_bos, flag(file, "tokenizer.ggml.add_bos_token"));
  LS_ASSIGN_OR_RETURN(const auto add_eos, flag(file, "tokenizer.ggml.add_eos_token"));
  if (add_eos.value_or(false)) {
    return invalid_argument(file.path() +
                            ": tokenizer.ggml.add_eos_token is true, which is not supported: every "
                            "prompt would end with the token that ends an answer");
  }
  return v;
}

Result<tokenizer::GgufVocabulary> read_gguf_vocabulary(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  return read_gguf_vocabulary(file);
}

}  // namespace longshot::model
