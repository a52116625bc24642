#include "model/format/gguf/gguf_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "model/format/model_types.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

constexpr const char* kEmbedding = "token_embd.weight";
constexpr int kSoftmax = 1;  // of expert_gating_func

// From gguf-py, constants.py. Models that llama.cpp's converter reads as Llama are interleaved
// (convert_hf_to_gguf.py); Mixtral is a Llama with experts there.
constexpr GgufArchitecture kArchitectures[] = {
    {"llama", "llama", true},         {"llama", "mixtral", true},
    {"qwen2", "qwen2", false},        {"qwen3", "qwen3", false},
    {"qwen3moe", "qwen3_moe", false}, {"olmo2", "olmo2", false},
    {"granite", "granite", true},     {"smollm3", "smollm3", true},
    {"phi3", "phi3", false},          {"glm4", "glm4", false},
    {"gemma2", "gemma2", false},      {"gemma3", "gemma3_text", false}};

std::string prefix_of(const std::string& model_type) {
  return find_gguf_architecture(model_type)->name + std::string(".");
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
Status check_unsupported(const GgufFile& file, const ModelType& type) {
  const std::string prefix = prefix_of(type.name);
  const auto get = [&](const std::string& key) { return file.scalar(key); };
  LS_ASSIGN_OR_RETURN(const Json context, get(prefix + "context_length"));
  LS_ASSIGN_OR_RETURN(const Json window, get(prefix + "attention.sliding_window"));
  const bool hides = window.is_number() && window != 0 &&
                     !(context.is_number() && window >= context) &&
                     type.windows != Windows::every_layer && type.windows != Windows::pattern;
  std::vector<std::pair<std::string, Json>> keys = {{"general.type", "model"},
                                                    {"split.count", 1},
                                                    {prefix + "expert_shared_count", 0},
                                                    {prefix + "expert_gating_func", kSoftmax},
                                                    {prefix + "attention.causal", true}};
  if (!type.experts) keys.emplace_back(prefix + "expert_count", 0);
  for (const char* scale : {"attention.scale", "logit_scale", "residual_scale", "embedding_scale"})
    if (!type.multipliers) keys.emplace_back(prefix + scale, 0.0);
  for (const auto& [key, plain] : keys) {
    LS_ASSIGN_OR_RETURN(const Json value, get(key));
    if (value.is_null() || value == plain || (key == "split.count" && value == 0)) continue;
    const char* advice =
        key == "split.count" ? "; join the files with llama-gguf-split --merge" : "";
    return invalid_argument(
        fmt::format("{}: {} {} is not supported{}", file.path(), key, dump_json(value), advice));
  }
  if (!hides) return ok_status();
  return invalid_argument(fmt::format("{}: {}attention.sliding_window {} is not supported",
                                      file.path(), prefix, dump_json(window)));
}

// rope.scaling.* in terms of config.json, with llama.cpp's defaults (llama-model.cpp,
// ggml_rope_yarn): a factor without a type is linear, and so is the older key rope.scale_linear.
Result<Json> rope_scaling_words(const GgufFile& file, const std::string& prefix) {
  const auto get = [&](const char* key) { return file.scalar(prefix + "rope." + key); };
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
        "{}: {}rope.scaling.type {}{} is not supported (none, linear and yarn with a factor are)",
        file.path(), prefix, dump_json(type), multiplied ? " with yarn_log_multiplier" : ""));
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

Json values_of(const GgufTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  dequantize(*tensor.type, tensor.bytes.data(), tensor.elements(), values.data());
  return values;
}

// Phi-3's factors for long contexts. Without a factor of attention, that of transformers holds,
// from which llama.cpp's converter takes its own.
Status read_longrope(const GgufFile& file, const std::string& prefix, Json& json) {
  const GgufTensor* both[] = {file.find_tensor(kShortFactors), file.find_tensor(kLongFactors)};
  if (both[0] == nullptr && both[1] == nullptr) return ok_status();
  if (both[0] == nullptr || both[1] == nullptr)
    return corrupt(fmt::format("{}: one of the tensors '{}' and '{}' is missing", file.path(),
                               kShortFactors, kLongFactors));
  json["rope_scaling"] = {{"rope_type", "longrope"},
                          {"short_factor", values_of(*both[0])},
                          {"long_factor", values_of(*both[1])}};
  LS_ASSIGN_OR_RETURN(const Json original,
                      file.scalar(prefix + "rope.scaling.original_context_length"));
  if (!original.is_null()) json["original_max_position_embeddings"] = original;
  return ok_status();
}

// Checks that queries, keys, values and the rotary embedding have the same head dimension.
Status check_head_dims(const GgufFile& file, const ModelConfig& config) {
  const struct {
    const char* suffix;
    int expected;
  } widths[] = {{"rope.dimension_count", config.rotary_width()},
                {"attention.key_length", config.head_dim},
                {"attention.value_length", config.head_dim}};
  for (const auto& [suffix, expected] : widths) {
    const std::string key = prefix_of(config.model_type) + suffix;
    LS_ASSIGN_OR_RETURN(const Json value, file.scalar(key));
    if (!value.is_null() && value != expected) {
      return invalid_argument(
          fmt::format("{}: {} {} differs from the head dimension {}, which is not supported",
                      file.path(), key, dump_json(value), expected));
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
    log::warn(
        "{}: no key names a token that ends a text; {} tokens of the vocabulary are known to end "
        "one",
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

Result<ModelType> type_of(const GgufFile& file) {
  LS_ASSIGN_OR_RETURN(const Json name, file.scalar("general.architecture"));
  std::vector<std::string> names;
  const ModelType* found = nullptr;  // of several with this name, the one that fits the experts
  for (const GgufArchitecture& each : kArchitectures) {
    const ModelType* type = find_model_type(each.model_type);
    if (names.empty() || names.back() != each.name) names.emplace_back(each.name);
    if (name != each.name) continue;
    LS_ASSIGN_OR_RETURN(const Json experts, file.scalar(each.name + std::string(".expert_count")));
    const bool has_experts = experts.is_number() && experts != 0;
    if (found == nullptr || type->experts == has_experts) found = type;
  }
  if (found != nullptr) return *found;
  return invalid_argument(fmt::format("{}: general.architecture {} is not supported ({})",
                                      file.path(), dump_json(name), fmt::join(names, ", ")));
}

// The part of each head that rotates, from its number of dimensions.
Status read_rotary_part(const GgufFile& file, const ModelType& type, Json& json) {
  LS_ASSIGN_OR_RETURN(const Json given, file.scalar(prefix_of(type.name) + "rope.dimension_count"));
  if (given.is_null()) return ok_status();
  const auto number = [](const Json& value) { return value.is_number() ? value.get<double>() : 0; };
  double head_dim = number(json["head_dim"]);
  if (head_dim == 0) head_dim = number(json["hidden_size"]) / number(json["num_attention_heads"]);
  double part = number(given) / head_dim;
  if (std::floor(head_dim * part) < number(given)) part = std::nextafter(part, 2);
  json["partial_rotary_factor"] = part;
  return ok_status();
}

// A scale of attention scores is not in the file: llama.cpp knows it from the number of layers.
bool scales_by_width(const ModelType& type, const Json& layers) {
  return layers == (type.local_rope ? 62 : 46);  // the models of 27 billion parameters
}

Status read_gemma_keys(const GgufFile& file, const ModelType& type, Json& json) {
  const std::string prefix = prefix_of(type.name);
  const auto read = [&](const char* suffix, const char* hf) -> Status {
    LS_ASSIGN_OR_RETURN(const Json value, file.scalar(prefix + suffix));
    if (!value.is_null()) json[hf] = value;
    return ok_status();
  };
  if (json["head_dim"].is_null()) json["head_dim"] = type.head_dim;
  json["query_pre_attn_scalar"] = json["head_dim"];
  const auto number = [&](const char* hf) {
    return json[hf].is_number() ? json[hf].get<int>() : 0;
  };
  if (scales_by_width(type, json["num_hidden_layers"]) && number("num_attention_heads") > 0)
    json["query_pre_attn_scalar"] = number("hidden_size") / number("num_attention_heads");
  LS_RETURN_IF_ERROR(read("attn_logit_softcapping", "attn_logit_softcapping"));
  LS_RETURN_IF_ERROR(read("final_logit_softcapping", "final_logit_softcapping"));
  LS_RETURN_IF_ERROR(read("attention.sliding_window", "sliding_window"));
  LS_RETURN_IF_ERROR(read("attention.sliding_window_pattern", "sliding_window_pattern"));
  if (type.local_rope) LS_RETURN_IF_ERROR(read("rope.freq_base_swa", "rope_local_base_freq"));
  const bool windows = json.contains("sliding_window") && json["sliding_window"] != 0;
  if (type.local_rope && !windows)  // as llama.cpp; Gemma 2 has a default
    json["layer_types"] = Json(std::max(0, number("num_hidden_layers")), "full_attention");
  return ok_status();
}

// The keys that only this type has.
Status read_type_keys(const GgufFile& file, const ModelType& type, Json& json) {
  const auto read = [&](const char* suffix, const char* hf, bool required) -> Status {
    const std::string key = prefix_of(type.name) + suffix;
    LS_ASSIGN_OR_RETURN(json[hf], file.scalar(key));
    if (!required || !json[hf].is_null()) return ok_status();
    return corrupt(fmt::format("{}: key '{}' is missing", file.path(), key));
  };
  if (type.multipliers) {
    LS_RETURN_IF_ERROR(read("attention.scale", "attention_multiplier", true));
    LS_RETURN_IF_ERROR(read("embedding_scale", "embedding_multiplier", true));
    LS_RETURN_IF_ERROR(read("residual_scale", "residual_multiplier", true));
    LS_RETURN_IF_ERROR(read("logit_scale", "logits_scaling", true));
  }
  if (type.experts) {
    LS_RETURN_IF_ERROR(read("expert_count", "num_experts", true));
    LS_RETURN_IF_ERROR(read("expert_used_count", "num_experts_per_tok", true));
  }
  if (type.expert_keys) {
    LS_RETURN_IF_ERROR(read("expert_feed_forward_length", "moe_intermediate_size", true));
    json["norm_topk_prob"] = true;  // llama.cpp always divides by the sum
  }
  if (type.gemma_scales) LS_RETURN_IF_ERROR(read_gemma_keys(file, type, json));
  if (type.partial_rotary) LS_RETURN_IF_ERROR(read_rotary_part(file, type, json));
  if (type.windows == Windows::every_layer) {
    LS_RETURN_IF_ERROR(read("attention.sliding_window", "sliding_window", false));
    if (json["sliding_window"] == 0) json["sliding_window"] = nullptr;
  }
  return ok_status();
}

// The file's metadata as a config.json.
Result<Json> config_words(const GgufFile& file, const GgufTensor& embedding) {
  LS_ASSIGN_OR_RETURN(const ModelType type, type_of(file));
  const std::string prefix = prefix_of(type.name);
  LS_RETURN_IF_ERROR(check_unsupported(file, type));
  Json json = {{"model_type", type.name},
               {"vocab_size", embedding.shape[0]},
               {"dtype", dtype_of(embedding)}};
  for (const KeyPair& pair : kKeys) {
    const std::string key = prefix + pair.gguf;
    LS_ASSIGN_OR_RETURN(json[pair.hf], file.uniform(key));
    if (pair.required && json[pair.hf].is_null()) {
      return corrupt(fmt::format("{}: key '{}' is missing", file.path(), key));
    }
  }
  LS_RETURN_IF_ERROR(read_type_keys(file, type, json));
  json["tie_word_embeddings"] = file.find_tensor("output.weight") == nullptr;
  json["attention_bias"] = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  json["mlp_bias"] = file.find_tensor("blk.0.ffn_gate.bias") != nullptr;
  LS_ASSIGN_OR_RETURN(json["rope_scaling"], rope_scaling_words(file, prefix));
  if (type.only_longrope) LS_RETURN_IF_ERROR(read_longrope(file, prefix, json));
  LS_RETURN_IF_ERROR(read_token_ids(file, json));
  return json;
}

}  // namespace

const GgufArchitecture* find_gguf_architecture(const std::string& model_type) {
  for (const GgufArchitecture& each : kArchitectures) {
    if (model_type == each.model_type) return &each;
  }
  return nullptr;
}

Result<ModelConfig> read_gguf_config(const GgufFile& file) {
  const GgufTensor* embedding = file.find_tensor(kEmbedding);
  if (embedding == nullptr || embedding->shape.size() != 2) {
    return corrupt(
        fmt::format("{}: tensor '{}' is missing or is not a matrix", file.path(), kEmbedding));
  }
  LS_ASSIGN_OR_RETURN(const Json json, config_words(file, *embedding));
  LS_ASSIGN_OR_RETURN(ModelConfig config, config_from_json(json, file.path()));
  LS_RETURN_IF_ERROR(check_head_dims(file, config));
  LS_RETURN_IF_ERROR(read_rope_factors(file, config));
  return config;
}

}  // namespace longshot::model
