#include "model/format/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/log.h"
#include "model/format/config_reader.h"

namespace longshot::model {
namespace {

// Far above any existing model, and low enough that no product of them overflows 64 bits.
constexpr int kMaxVocab = 1 << 24, kMaxWidth = 1 << 20, kMaxLayers = 1 << 10, kMaxHeads = 1 << 12;
constexpr int kMaxHeadDim = 1 << 12, kMaxPositions = 1 << 28;

// Class names and defaults of the model types, from transformers' configuration classes.
struct ModelType {
  const char* model_type;
  const char* class_name;
  int default_positions;
  int default_window;  // 0: the type has no sliding windows
};
constexpr std::array<ModelType, 4> kModelTypes = {{{"llama", "Llama", 2048, 0},
                                                   {"mistral", "Mistral", 131072, 4096},
                                                   {"qwen2", "Qwen2", 32768, 4096},
                                                   {"qwen3", "Qwen3", 32768, 4096}}};
constexpr const char* kModelTypeNames = "llama, mistral, qwen2, qwen3";
constexpr const char* kLanguageModel = "ForCausalLM";
constexpr const char* kClassifier = "ForSequenceClassification";
constexpr int kQwen3HeadDim = 128;

const ModelType* find_type(const std::string& model_type) {
  for (const ModelType& type : kModelTypes) {
    if (model_type == type.model_type) return &type;
  }
  return nullptr;
}

// Rejects members with values that change the computation in a way that the forward pass does not
// implement.
void reject_unsupported(ConfigReader& json) {
  const auto reject = [&](const char* key, const std::string& expected) {
    json.fail(key, fmt::format("is {}, which is not supported (expected {})",
                               ConfigReader::show(json.at(key)), expected));
  };
  for (const char* key : {"hidden_act", "hidden_activation"}) {  // two names of one function
    if (json.has(key) && json.at(key) != "silu" && json.at(key) != "swish") reject(key, "\"silu\"");
  }
  if (json.has("quantization_config")) {
    json.fail("quantization_config",
              "is set: quantized checkpoints are not supported, convert the "
              "weights to float32, bfloat16 or float16");
  }
  for (const char* key : {"rope_interleaved", "use_mrope"}) {
    if (json.flag(key, false)) reject(key, "false");
  }
  if (json.number("partial_rotary_factor", 1, 0, 1) != 1) reject("partial_rotary_factor", "1");
  if (const double dropout = json.number("attention_dropout", 0, 0, 1); dropout != 0)
    log::warn("attention_dropout {} is not applied: nothing here drops activations", dropout);
}

// The layers with a window, chosen as in transformers' configuration classes.
void read_layer_types(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  constexpr const char* kKey = "layer_types";
  const Json& types = json.at(kKey);
  const auto known = [](const Json& t) {
    return t == "full_attention" || t == "sliding_attention";
  };
  if (!types.is_array() || static_cast<int>(types.size()) != config.num_layers ||
      !std::all_of(types.begin(), types.end(), known)) {
    return json.fail(kKey,
                     fmt::format("is {}, expected \"full_attention\" or \"sliding_attention\" "
                                 "for each of the {} layers",
                                 ConfigReader::show(types), config.num_layers));
  }
  for (const Json& type : types) config.sliding_layers.push_back(type == "sliding_attention");
  const bool any = std::ranges::count(config.sliding_layers, true) > 0;
  if (any && (type.default_window == 0 || config.sliding_window == 0)) {
    json.fail(kKey,
              "has \"sliding_attention\", but the model has no sliding window (sliding_window, "
              "use_sliding_window)");
  }
}

void read_windows(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  const bool mistral = config.model_type == "mistral";
  const bool used = mistral || (type.default_window > 0 && json.flag("use_sliding_window", false));
  // Mistral's later models have null, which means no window.
  const bool none = json.contains("sliding_window") && !json.has("sliding_window");
  if (used && !none)
    config.sliding_window = json.integer("sliding_window", type.default_window, 1, kMaxPositions);
  if (!mistral && json.has("layer_types")) {
    read_layer_types(json, type, config);
  } else if (config.sliding_window > 0) {
    const int first = mistral ? 0 : json.integer("max_window_layers", 28, 0, kMaxWidth);
    for (int layer = 0; layer < config.num_layers; ++layer)
      config.sliding_layers.push_back(layer >= first);
  }
  if (std::ranges::count(config.sliding_layers, true) > 0) return;
  config.sliding_window = 0;
  config.sliding_layers.clear();
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
  config.num_kv_heads = json.integer("num_key_value_heads", config.num_heads, 1, kMaxHeads);
  config.max_position_embeddings =
      json.integer("max_position_embeddings", type.default_positions, 1, kMaxPositions);
  config.rms_norm_eps = json.number("rms_norm_eps", 1e-6, 0, 1);
  if (json.has("head_dim")) {
    config.head_dim = json.integer("head_dim", std::nullopt, 2, kMaxHeadDim);
  } else if (config.model_type == "qwen3") {
    config.head_dim = kQwen3HeadDim;
  } else if (config.hidden_size % config.num_heads != 0) {
    json.fail("hidden_size", fmt::format("is {}, not a multiple of num_attention_heads {}",
                                         config.hidden_size, config.num_heads));
  } else {
    config.head_dim = config.hidden_size / config.num_heads;
  }
}

void read_switches(ConfigReader& json, ModelConfig& config) {
  const bool attention_bias = json.flag("attention_bias", false);
  config.qkv_bias = config.model_type == "qwen2" || attention_bias;
  // never has biases; the key is ignored
  if (config.model_type == "mistral") config.qkv_bias = false;
  config.attention_out_bias = config.model_type != "qwen2" && config.qkv_bias;
  config.mlp_bias = config.model_type == "llama" && json.flag("mlp_bias", false);
  config.qk_norm = config.model_type == "qwen3";
  config.tie_word_embeddings = json.flag("tie_word_embeddings", false);
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

// A window needs layers that use it, and such layers need a model type that supports them.
Status check_windows(const ModelConfig& c, const std::string& where) {
  const auto sliding = std::ranges::count(c.sliding_layers, true);
  const bool all = sliding == c.num_layers;
  if (sliding == 0 && c.sliding_window == 0) return ok_status();
  if (sliding == 0 || static_cast<int>(c.sliding_layers.size()) != c.num_layers ||
      c.sliding_window < 1 || c.model_type == "llama" || (c.model_type == "mistral" && !all)) {
    return invalid_argument(fmt::format("{}: no {} model has a window of {} in {} of {} layers",
                                        where, c.model_type, c.sliding_window, sliding,
                                        c.num_layers));
  }
  return ok_status();
}

// For readers that do not know layer_types, use_sliding_window and max_window_layers give the same
// windows, as far as these are in the last layers only.
void write_windows(const ModelConfig& c, Json& json) {
  const bool windows = c.sliding_window > 0;
  if (c.model_type == "mistral") json["sliding_window"] = windows ? Json(c.sliding_window) : Json();
  if (c.model_type == "llama" || c.model_type == "mistral") return;
  json["use_sliding_window"] = windows;
  if (!windows) return;
  json["sliding_window"] = c.sliding_window;
  int full = c.num_layers;
  while (full > 0 && c.sliding_layers[full - 1]) --full;
  json["max_window_layers"] = full;
  for (int layer = 0; layer < c.num_layers; ++layer)
    json["layer_types"].push_back(c.window_of(layer) > 0 ? "sliding_attention" : "full_attention");
}

}  // namespace

Status check_config(const ModelConfig& c, const std::string& where) {
  const auto wrong = [&](const std::string& what) { return invalid_argument(where + ": " + what); };
  if (find_type(c.model_type) == nullptr) {
    return wrong(
        fmt::format("model_type '{}' is not supported ({})", c.model_type, kModelTypeNames));
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
  const bool qwen2 = c.model_type == "qwen2", qwen3 = c.model_type == "qwen3";
  if (qwen2 ? !c.qkv_bias || c.attention_out_bias : c.qkv_bias != c.attention_out_bias) {
    return wrong("no " + c.model_type + " model has these attention biases");
  }
  if (c.mlp_bias && c.model_type != "llama") return wrong(c.model_type + " has no mlp_bias");
  if (c.qk_norm != qwen3) return wrong("query and key norms are qwen3's, and only qwen3's");
  if (c.model_type == "mistral" && c.qkv_bias) return wrong("mistral has no attention biases");
  return check_windows(c, where);
}

Result<ModelConfig> config_from_json(const Json& object, const std::string& where) {
  if (!object.is_object()) return invalid_argument(where + ": not a JSON object");
  ConfigReader json(object, where);
  ModelConfig config;
  config.model_type = json.text("model_type", "");
  const ModelType* type = find_type(config.model_type);
  if (type == nullptr) {
    json.fail("model_type", fmt::format("is \"{}\", which is not supported (expected one of {})",
                                        config.model_type, kModelTypeNames));
    return json.status();
  }
  read_sizes(json, *type, config);
  read_switches(json, config);
  read_token_ids(json, config);
  read_dtype(json, config);
  read_head(json, config);
  reject_unsupported(json);
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

namespace {
// One id as an integer, several as a list: the form both libraries write.
Json eos_json(const ModelConfig& config) {
  if (config.eos_token_ids.empty()) return nullptr;
  if (config.eos_token_ids.size() == 1) return config.eos_token_ids[0];
  return config.eos_token_ids;
}
}  // namespace

Json generation_config_to_json(const ModelConfig& config) {
  Json json = {{"eos_token_id", eos_json(config)}};
  if (config.bos_token_id) json["bos_token_id"] = *config.bos_token_id;
  return json;
}

Json config_to_json(const ModelConfig& config) {
  const ModelType* known = find_type(config.model_type);
  LS_CHECK(known != nullptr, "unknown model_type " + config.model_type);
  const std::string architecture =
      std::string(known->class_name) + (config.score_head ? kClassifier : kLanguageModel);
  Json json = {{"architectures", {architecture}},
               {"model_type", config.model_type},
               {"vocab_size", config.vocab_size},
               {"hidden_size", config.hidden_size},
               {"intermediate_size", config.intermediate_size},
               {"num_hidden_layers", config.num_layers},
               {"num_attention_heads", config.num_heads},
               {"num_key_value_heads", config.num_kv_heads},
               {"head_dim", config.head_dim},
               {"hidden_act", "silu"},
               {"max_position_embeddings", config.max_position_embeddings},
               {"rms_norm_eps", config.rms_norm_eps},
               {"tie_word_embeddings", config.tie_word_embeddings},
               {"attention_dropout", 0.0},
               {"initializer_range", 0.02},
               {"use_cache", true},
               {"bos_token_id", config.bos_token_id ? Json(*config.bos_token_id) : Json(nullptr)},
               {"eos_token_id", eos_json(config)}};
  if (config.pad_token_id) json["pad_token_id"] = *config.pad_token_id;
  if (config.score_head) {
    json["id2label"] = {{"0", "LABEL_0"}};
    json["label2id"] = {{"LABEL_0", 0}};
  }
  const std::string& type = config.model_type;
  if (type == "llama" || type == "qwen3") json["attention_bias"] = config.qkv_bias;
  if (type == "llama") json["mlp_bias"] = config.mlp_bias;
  write_windows(config, json);
  write_rope(config, json);
  for (const char* key : {"dtype", "torch_dtype"}) json[key] = config.dtype;
  return json;
}

}  // namespace longshot::model
