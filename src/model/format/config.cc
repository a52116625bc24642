#include "model/format/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "model/format/config_reader.h"
#include "model/format/experts.h"
#include "model/format/model_types.h"
#include "model/format/windows.h"

namespace longshot::model {
namespace {

// Far above any existing model, and low enough that no product of them overflows 64 bits.
constexpr int kMaxVocab = 1 << 24, kMaxWidth = 1 << 20, kMaxLayers = 1 << 10, kMaxHeads = 1 << 12;
constexpr int kMaxHeadDim = 1 << 12, kMaxPositions = 1 << 28;

constexpr const char* kClassifier = "ForSequenceClassification";
constexpr double kMaxMultiplier = 1e6;

const char* activation_name(Activation activation) {
  return activation == Activation::silu ? "silu" : "gelu_pytorch_tanh";
}

// Rejects members with values that change the computation in a way that the forward pass does not
// implement.
void reject_unsupported(ConfigReader& json, const ModelType& type) {
  const auto reject = [&](const char* key, const std::string& expected) {
    json.fail(key, fmt::format("is {}, which is not supported (expected {})",
                               ConfigReader::show(json.at(key)), expected));
  };
  const std::string activation = activation_name(type.facts.activation);
  for (const char* key : {"hidden_act", "hidden_activation"}) {  // two names of one function
    const bool swish = activation == "silu" && json.has(key) && json.at(key) == "swish";
    if (json.has(key) && json.at(key) != activation && !swish) reject(key, '"' + activation + '"');
  }
  if (json.has("quantization_config")) {
    json.fail("quantization_config",
              "is set: quantized checkpoints are not supported, convert the "
              "weights to float32, bfloat16 or float16");
  }
  for (const char* key : {"rope_interleaved", "use_mrope", "use_bidirectional_attention"}) {
    if (json.flag(key, false)) reject(key, "false");
  }
  if (!type.attention_cap && json.has("attn_logit_softcapping"))
    reject("attn_logit_softcapping", "null");
  if (!type.gemma_scales && json.has("final_logit_softcapping"))
    reject("final_logit_softcapping", "null");
  if (!type.partial_rotary && json.number("partial_rotary_factor", 1, 0, 1) != 1)
    reject("partial_rotary_factor", "1");
  for (const char* key : {"attention_dropout", "resid_pdrop", "embd_pdrop"}) {
    if (const double dropout = json.number(key, 0, 0, 1); dropout != 0)
      log::warn("{} {} is not applied: longshot has no dropout", key, dropout);
  }
}

void read_token_ids(ConfigReader& json, ModelConfig& config) {
  if (json.has("bos_token_id")) {
    config.bos_token_id = json.integer("bos_token_id", std::nullopt, 0, kMaxVocab);
  }
  // Some configurations have -1, which means none.
  if (json.has("pad_token_id") && json.at("pad_token_id") != -1)
    config.pad_token_id = json.integer("pad_token_id", std::nullopt, 0, kMaxVocab);
  if (!json.has("eos_token_id")) return;
  const Json& eos = json.at("eos_token_id");
  config.eos_token_ids.clear();
  for (const Json& id : eos.is_array() ? eos : Json::array({eos})) {
    config.eos_token_ids.push_back(
        static_cast<int>(json.checked_integer("eos_token_id", id, 0, kMaxVocab)));
  }
}

void read_dtype(ConfigReader& json, ModelConfig& config) {
  const char* key = json.has("dtype") ? "dtype" : "torch_dtype";
  config.dtype = json.text(key, "float32");
  if (config.dtype == "float64") config.dtype = "float32";  // read, but never written
  for (const char* known : {"float32", "bfloat16", "float16"}) {
    if (config.dtype == known) return;
  }
  json.fail(key, "is \"" + config.dtype + "\", expected float32, bfloat16 or float16");
}

void read_sizes(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  config.vocab_size = json.integer("vocab_size", std::nullopt, 1, kMaxVocab);
  config.hidden_size = json.integer("hidden_size", std::nullopt, 1, kMaxWidth);
  config.intermediate_size = json.integer("intermediate_size", std::nullopt, 1, kMaxWidth);
  config.num_layers = json.integer("num_hidden_layers", std::nullopt, 1, kMaxLayers);
  config.num_heads = json.integer("num_attention_heads", std::nullopt, 1, kMaxHeads);
  // As in transformers, null means as many as heads, and a missing key means the type's default.
  const bool missing = !json.contains("num_key_value_heads") && type.kv_heads > 0;
  config.num_kv_heads =
      json.integer("num_key_value_heads", missing ? type.kv_heads : config.num_heads, 1, kMaxHeads);
  config.max_position_embeddings =
      json.integer("max_position_embeddings", type.positions, 1, kMaxPositions);
  config.rms_norm_eps = json.number("rms_norm_eps", type.rms_norm_eps, 0, 1);
  if (json.has("head_dim")) {
    config.head_dim = json.integer("head_dim", std::nullopt, 2, kMaxHeadDim);
  } else if (type.head_dim > 0) {
    config.head_dim = type.head_dim;
  } else if (config.hidden_size % config.num_heads != 0) {
    json.fail("hidden_size", fmt::format("is {}, not a multiple of num_attention_heads {}",
                                         config.hidden_size, config.num_heads));
  } else {
    config.head_dim = config.hidden_size / config.num_heads;
  }
}

void read_switches(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  const bool attention = type.attention_bias == AttentionBias::by_key ||
                         type.attention_bias == AttentionBias::qkv_by_key;
  const bool given = attention && json.flag("attention_bias", type.default_attention_bias);
  config.qkv_bias = type.attention_bias == AttentionBias::qkv || given;
  config.attention_out_bias = type.attention_bias == AttentionBias::by_key && given;
  config.mlp_bias = type.mlp_bias && json.flag("mlp_bias", false);
  config.tie_word_embeddings = json.flag("tie_word_embeddings", type.tied);
}

// 0 for null, which means no cap.
double read_cap(ConfigReader& json, const char* key, double fallback) {
  if (json.contains(key) && !json.has(key)) return 0;
  return json.number(key, fallback, 1e-3, kMaxMultiplier);
}

void read_multipliers(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  const auto number = [&](const char* key) { return json.number(key, 1, 1e-6, kMaxMultiplier); };
  if (type.multipliers) {
    config.embedding_multiplier = number("embedding_multiplier");
    config.residual_multiplier = number("residual_multiplier");
    config.attention_multiplier = number("attention_multiplier");
    config.logits_scaling = number("logits_scaling");
  }
  if (!type.gemma_scales) return;
  config.embedding_multiplier = std::sqrt(config.hidden_size);
  config.attention_multiplier =
      1 / std::sqrt(json.integer("query_pre_attn_scalar", 256, 1, kMaxWidth));
  config.logit_softcap = read_cap(json, "final_logit_softcapping", type.logit_softcap);
  if (type.attention_cap)
    config.attention_softcap = read_cap(json, "attn_logit_softcapping", type.attention_softcap);
}

// no_rope_layers has a 1 for each layer that rotates.
void read_no_rope_layers(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  if (!type.no_rope_layers) return;
  constexpr const char* kKey = "no_rope_layers";
  const int interval = json.integer("no_rope_layer_interval", 4, 1, kMaxWidth);
  for (int layer = 0; layer < config.num_layers; ++layer)
    config.no_rope_layers.push_back((layer + 1) % interval == 0);
  if (json.has(kKey)) {
    const Json& list = json.at(kKey);
    const auto known = [](const Json& v) { return v == 0 || v == 1; };
    if (!list.is_array() || static_cast<int>(list.size()) < config.num_layers ||
        !std::all_of(list.begin(), list.end(), known)) {
      return json.fail(kKey, fmt::format("is {}, expected 0 or 1 for each of the {} layers",
                                         ConfigReader::show(list), config.num_layers));
    }
    for (int layer = 0; layer < config.num_layers; ++layer)
      config.no_rope_layers[layer] = list[layer] == 0;
  }
  if (std::ranges::count(config.no_rope_layers, true) == 0) config.no_rope_layers.clear();
}

// A classifier with one label has a score as its head. Without labels in the file, transformers
// assumes two.
void read_head(ConfigReader& json, ModelConfig& config) {
  if (!json.has("architectures") || !json.at("architectures").is_array()) return;
  for (const Json& name : json.at("architectures"))
    config.score_head |= name.is_string() && name.get<std::string>().ends_with(kClassifier);
  if (!config.score_head) return;
  const bool named = json.has("id2label") && json.at("id2label").is_object();
  const int labels = named ? static_cast<int>(json.at("id2label").size())
                           : json.integer("num_labels", 2, 0, kMaxVocab);
  if (labels != 1)
    json.fail("id2label",
              fmt::format("gives {} labels; a reward model has one, its score", labels));
}

// Error: facts or numbers that no model of this type has.
Status check_facts(const ModelType& type, const ModelConfig& c, const std::string& where) {
  const auto wrong = [&](const std::string& what) {
    return invalid_argument(fmt::format("{}: no {} model has {}", where, c.model_type, what));
  };
  if (!(c.facts == type.facts)) return wrong("these norms, activations or matrices");
  const bool qkv = c.qkv_bias, out = c.attention_out_bias;
  const bool biases_fit = type.attention_bias == AttentionBias::never        ? !qkv && !out
                          : type.attention_bias == AttentionBias::qkv        ? qkv && !out
                          : type.attention_bias == AttentionBias::qkv_by_key ? !out
                                                                             : qkv == out;
  if (!biases_fit) return wrong("these attention biases");
  if (c.mlp_bias && !type.mlp_bias) return wrong("an mlp_bias");
  if (!type.no_rope_layers && !c.no_rope_layers.empty()) return wrong("layers without a rope");
  if (!type.partial_rotary && c.partial_rotary_factor != 1) return wrong("a partial rope");
  if (type.local_rope != c.has_local_rope()) return wrong("this rope of layers with a window");
  const bool multiplied = c.residual_multiplier != 1 || c.logits_scaling != 1;
  if (multiplied && !type.multipliers) return wrong("these multipliers");
  const bool scaled = c.embedding_multiplier != 1 || c.attention_multiplier != 0;
  if (scaled && !type.multipliers && !type.gemma_scales) return wrong("these multipliers");
  if (c.logit_softcap != 0 && !type.gemma_scales) return wrong("capped logits");
  if (c.attention_softcap != 0 && !type.attention_cap) return wrong("capped scores");
  LS_RETURN_IF_ERROR(check_experts(type, c, where));
  return check_windows(type, c, where);
}

}  // namespace

Status check_config(const ModelConfig& c, const std::string& where) {
  const auto wrong = [&](const std::string& what) { return invalid_argument(where + ": " + what); };
  const ModelType* type = find_model_type(c.model_type);
  if (type == nullptr) {
    return wrong(
        fmt::format("model_type '{}' is not supported ({})", c.model_type, model_type_names()));
  }
  const struct {
    const char* name;
    int value, high;
  } sizes[] = {{"vocab_size", c.vocab_size, kMaxVocab},
               {"hidden_size", c.hidden_size, kMaxWidth},
               {"intermediate_size", c.intermediate_size, kMaxWidth},
               {"num_hidden_layers", c.num_layers, kMaxLayers},
               {"num_attention_heads", c.num_heads, kMaxHeads},
               {"num_key_value_heads", c.num_kv_heads, kMaxHeads},
               {"head_dim", c.head_dim, kMaxHeadDim},
               {"max_position_embeddings", c.max_position_embeddings, kMaxPositions}};
  for (const auto& size : sizes) {
    if (size.value < 1 || size.value > size.high) {
      return wrong(fmt::format("'{}' is {}, expected 1 to {}", size.name, size.value, size.high));
    }
  }
  if (c.num_heads % c.num_kv_heads != 0) {
    return wrong(
        fmt::format("'num_attention_heads' {} is not a multiple of 'num_key_value_heads' {}",
                    c.num_heads, c.num_kv_heads));
  }
  if (c.head_dim % 2 != 0) return wrong(fmt::format("'head_dim' {} is odd", c.head_dim));
  if (!(c.rms_norm_eps > 0)) return wrong("'rms_norm_eps' must be positive");
  if (c.rotary_width() < 2 || c.rotary_width() > c.head_dim || c.rotary_width() % 2 != 0) {
    return wrong(fmt::format("'partial_rotary_factor' {} of a head_dim of {} is not an even number",
                             c.partial_rotary_factor, c.head_dim));
  }
  return check_facts(*type, c, where);
}

Result<ModelConfig> config_from_json(const Json& object, const std::string& where) {
  if (!object.is_object()) return invalid_argument(where + ": not a JSON object");
  ConfigReader json(object, where);
  ModelConfig config;
  config.model_type = json.text("model_type", "");
  const ModelType* type = find_model_type(config.model_type);
  if (type == nullptr) {
    const char* advice = config.model_type == "gemma3"
                             ? ": save the language model alone, whose type is gemma3_text"
                             : "";
    json.fail("model_type", fmt::format("is \"{}\", which is not supported (expected one of {}){}",
                                        config.model_type, model_type_names(), advice));
    return json.status();
  }
  set_model_type(config.model_type, config);
  read_sizes(json, *type, config);
  read_switches(json, *type, config);
  read_multipliers(json, *type, config);
  read_no_rope_layers(json, *type, config);
  read_experts(json, *type, config);
  read_token_ids(json, config);
  read_dtype(json, config);
  read_head(json, config);
  reject_unsupported(json, *type);
  LS_RETURN_IF_ERROR(json.status());
  read_windows(json, *type, config);
  LS_RETURN_IF_ERROR(json.status());
  LS_RETURN_IF_ERROR(read_rope(object, where, config));
  LS_RETURN_IF_ERROR(check_config(config, where));
  return config;
}

Status apply_generation_config(const Json& object, const std::string& where, ModelConfig& config) {
  if (!object.is_object()) return invalid_argument(where + ": not a JSON object");
  ConfigReader json(object, where);
  read_token_ids(json, config);
  return json.status();
}

}  // namespace longshot::model
