#include "model/format/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "model/format/config_reader.h"

namespace longshot::model {
namespace {

// Far above any model there is, and low enough that no product of them overflows 64 bits.
constexpr int kMaxVocab = 1 << 24, kMaxWidth = 1 << 20, kMaxLayers = 1 << 10, kMaxHeads = 1 << 12;
constexpr int kMaxHeadDim = 1 << 12, kMaxPositions = 1 << 28;

// Class names and defaults of the model types, from transformers' configuration classes.
struct Family {
  const char* model_type;
  const char* class_name;
  int default_positions;
};
constexpr std::array<Family, 3> kFamilies = {
    {{"llama", "Llama", 2048}, {"qwen2", "Qwen2", 32768}, {"qwen3", "Qwen3", 32768}}};
constexpr const char* kLanguageModel = "ForCausalLM";
constexpr const char* kClassifier = "ForSequenceClassification";
constexpr int kQwen3HeadDim = 128;

const Family* find_family(const std::string& model_type) {
  for (const Family& family : kFamilies) {
    if (model_type == family.model_type) return &family;
  }
  return nullptr;
}

// Members whose other values change the computation in a way the forward pass does not have.
void reject_unsupported(ConfigReader& json, int num_layers) {
  const auto reject = [&](const char* key, const std::string& expected) {
    json.fail(key, fmt::format("is {}, which is not supported (expected {})",
                               ConfigReader::show(json.at(key)), expected));
  };
  for (const char* key : {"hidden_act", "hidden_activation"}) {
    if (json.has(key) && json.at(key) != "silu") reject(key, "\"silu\"");
  }
  if (json.has("quantization_config")) {
    json.fail("quantization_config",
              "is set: quantized checkpoints are not supported, convert the "
              "weights to float32, bfloat16 or float16");
  }
  if (json.integer("pretraining_tp", 1, 0, kMaxWidth) > 1) reject("pretraining_tp", "1");
  if (json.flag("rope_interleaved", false)) reject("rope_interleaved", "false");
  if (json.number("partial_rotary_factor", 1, 0, 1) != 1) reject("partial_rotary_factor", "1");
  if (json.number("attention_dropout", 0, 0, 1) != 0) reject("attention_dropout", "0");
  if (json.has("layer_types")) {
    const Json& types = json.at("layer_types");
    const bool full =
        types.is_array() && std::all_of(types.begin(), types.end(),
                                        [](const Json& t) { return t == "full_attention"; });
    if (!full) reject("layer_types", "only \"full_attention\"");
  } else if (json.flag("use_sliding_window", false) && json.has("sliding_window") &&
             json.integer("max_window_layers", 28, 0, kMaxWidth) < num_layers) {
    reject("use_sliding_window", "false");
  }
}

void read_llama3_scaling(const Json& object, const std::string& where, ModelConfig& config,
                         Status& status) {
  ConfigReader json(object, where);
  Llama3RopeScaling scaling;
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor"}) {
    if (!json.has(key)) json.fail(key, "is missing");
  }
  scaling.factor = json.number("factor", 8, 1, 1e6);
  scaling.low_freq_factor = json.number("low_freq_factor", 1, 1e-6, 1e6);
  scaling.high_freq_factor = json.number("high_freq_factor", 4, 1e-6, 1e6);
  scaling.original_max_position_embeddings = json.integer(
      "original_max_position_embeddings", config.max_position_embeddings, 1, kMaxPositions);
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    json.fail("high_freq_factor", "must be above low_freq_factor");
  }
  config.rope_scaling = scaling;
  status = json.status();
}

// transformers 4: rope_theta and rope_scaling; 5: both inside rope_parameters. As in transformers 5
// a non-null rope_scaling comes before rope_parameters, and rope_theta inside before rope_theta
// outside.
Status read_rope(ConfigReader& json, const std::string& where, ModelConfig& config) {
  config.rope_theta = json.number("rope_theta", 10000.0, 1, 1e15);
  const char* key = json.has("rope_scaling") ? "rope_scaling" : "rope_parameters";
  if (!json.has(key)) return json.status();
  const Json& object = json.at(key);
  if (!object.is_object()) {
    json.fail(key, "is " + ConfigReader::show(object) + ", expected an object");
    return json.status();
  }
  ConfigReader rope(object, where + ": " + key);
  config.rope_theta = rope.number("rope_theta", config.rope_theta, 1, 1e15);
  if (rope.number("partial_rotary_factor", 1, 0, 1) != 1) {
    rope.fail("partial_rotary_factor", "is not 1, which is not supported");
  }
  const char* type_key = rope.has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.text(type_key, "default");
  Status scaling;
  if (type == "llama3") {
    read_llama3_scaling(object, where + ": " + key, config, scaling);
  } else if (type != "default") {
    rope.fail(type_key, "is \"" + type + "\", which is not supported (expected default or llama3)");
  }
  LS_RETURN_IF_ERROR(rope.status());
  return scaling;
}

void read_token_ids(ConfigReader& json, ModelConfig& config) {
  if (json.has("bos_token_id")) {
    config.bos_token_id = json.integer("bos_token_id", std::nullopt, 0, kMaxVocab);
  }
  // Some configurations say -1 for none.
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

void read_sizes(ConfigReader& json, const Family& family, ModelConfig& config) {
  config.vocab_size = json.integer("vocab_size", std::nullopt, 1, kMaxVocab);
  config.hidden_size = json.integer("hidden_size", std::nullopt, 1, kMaxWidth);
  config.intermediate_size = json.integer("intermediate_size", std::nullopt, 1, kMaxWidth);
  config.num_layers = json.integer("num_hidden_layers", std::nullopt, 1, kMaxLayers);
  config.num_heads = json.integer("num_attention_heads", std::nullopt, 1, kMaxHeads);
  config.num_kv_heads = json.integer("num_key_value_heads", config.num_heads, 1, kMaxHeads);
  config.max_position_embeddings =
      json.integer("max_position_embeddings", family.default_positions, 1, kMaxPositions);
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
  config.attention_out_bias = config.model_type != "qwen2" && attention_bias;
  config.mlp_bias = config.model_type == "llama" && json.flag("mlp_bias", false);
  config.qk_norm = config.model_type == "qwen3";
  config.tie_word_embeddings = json.flag("tie_word_embeddings", false);
}

// A classifier with one label has a score for a head. Without labels transformers takes two.
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

Json rope_json(const ModelConfig& config) {
  Json rope = {{"rope_type", "default"}};
  if (config.rope_scaling) {
    rope = {{"rope_type", "llama3"},
            {"factor", config.rope_scaling->factor},
            {"low_freq_factor", config.rope_scaling->low_freq_factor},
            {"high_freq_factor", config.rope_scaling->high_freq_factor},
            {"original_max_position_embeddings",
             config.rope_scaling->original_max_position_embeddings}};
  }
  return rope;
}

}  // namespace

Status check_config(const ModelConfig& c, const std::string& where) {
  const auto wrong = [&](const std::string& what) { return invalid_argument(where + ": " + what); };
  if (find_family(c.model_type) == nullptr) {
    return wrong(
        fmt::format("model_type '{}' is not supported (llama, qwen2, qwen3)", c.model_type));
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
  return ok_status();
}

Result<ModelConfig> config_from_json(const Json& object, const std::string& where) {
  if (!object.is_object()) return invalid_argument(where + ": not a JSON object");
  ConfigReader json(object, where);
  ModelConfig config;
  config.model_type = json.text("model_type", "");
  const Family* family = find_family(config.model_type);
  if (family == nullptr) {
    json.fail("model_type",
              fmt::format("is \"{}\", which is not supported (expected llama, qwen2 or "
                          "qwen3)",
                          config.model_type));
    return json.status();
  }
  read_sizes(json, *family, config);
  read_switches(json, config);
  read_token_ids(json, config);
  read_dtype(json, config);
  read_head(json, config);
  reject_unsupported(json, config.num_layers);
  LS_RETURN_IF_ERROR(json.status());
  LS_RETURN_IF_ERROR(read_rope(json, where, config));
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
  const Family* family = find_family(config.model_type);
  LS_CHECK(family != nullptr, "unknown model_type " + config.model_type);
  const std::string architecture =
      std::string(family->class_name) + (config.score_head ? kClassifier : kLanguageModel);
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
  if (config.model_type != "qwen2") json["attention_bias"] = config.qkv_bias;
  if (config.model_type == "llama") json["mlp_bias"] = config.mlp_bias;
  if (config.model_type != "llama") json["use_sliding_window"] = false;
  for (const char* key : {"dtype", "torch_dtype"}) json[key] = config.dtype;
  Json rope = rope_json(config);
  json["rope_theta"] = config.rope_theta;  // transformers 4
  json["rope_scaling"] = config.rope_scaling ? rope : Json(nullptr);
  rope["rope_theta"] = config.rope_theta;  // transformers 5
  json["rope_parameters"] = rope;
  return json;
}

}  // namespace longshot::model
