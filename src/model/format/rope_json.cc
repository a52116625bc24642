// The rotary embedding's settings in config.json.

#include <algorithm>

#include "model/format/config.h"
#include "model/format/config_reader.h"
#include "model/format/model_types.h"
#include "model/format/rope.h"

namespace longshot::model {
namespace {

using Type = RopeScaling::Type;
constexpr double kMaxFactor = 1e6;
constexpr int kMaxPositions = 1 << 28;

struct Name {
  const char* text;
  Type type;
};
constexpr Name kNames[] = {{"linear", Type::linear}, {"dynamic", Type::dynamic},
                           {"yarn", Type::yarn},     {"longrope", Type::longrope},
                           {"su", Type::longrope},  // Phi-3's first files
                           {"llama3", Type::llama3}};

std::vector<double> factors(ConfigReader& json, const char* key, size_t count) {
  std::vector<double> out;
  if (!json.has(key)) {
    json.fail(key, "is missing");
    return out;
  }
  const Json& list = json.at(key);
  for (const Json& value : list.is_array() ? list : Json::array())
    out.push_back(value.is_number() ? value.get<double>() : 0);
  if (out.size() != count || std::ranges::any_of(out, [](double f) { return !(f > 0); }))
    json.fail(key, fmt::format("is not a list of {} positive numbers", count));
  return out;
}

void read_llama3(ConfigReader& json, RopeScaling& s) {
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor"}) {
    if (!json.has(key)) json.fail(key, "is missing");
  }
  s.low_freq_factor = json.number("low_freq_factor", 1, 1e-6, kMaxFactor);
  s.high_freq_factor = json.number("high_freq_factor", 4, 1e-6, kMaxFactor);
  if (s.high_freq_factor <= s.low_freq_factor)
    json.fail("high_freq_factor", "must be above low_freq_factor");
}

void read_yarn(ConfigReader& json, RopeScaling& s) {
  // As in transformers, 0 means the default.
  const double fast = json.number("beta_fast", 0, 0, kMaxFactor),
               slow = json.number("beta_slow", 0, 0, kMaxFactor);
  s.beta_fast = fast == 0 ? 32 : fast;
  s.beta_slow = slow == 0 ? 1 : slow;
  s.truncate = json.flag("truncate", true);
  s.mscale = json.number("mscale", 0, 0, kMaxFactor);
  s.mscale_all_dim = json.number("mscale_all_dim", 0, 0, kMaxFactor);
}

// Reads the settings of the types that start from the length of the original training. Phi-3 has
// that length outside of the object.
void read_original(ConfigReader& json, ConfigReader& outer, const ModelConfig& c, RopeScaling& s) {
  constexpr const char* kKey = "original_max_position_embeddings";
  s.original_max_position_embeddings =
      outer.has(kKey) ? outer.integer(kKey, std::nullopt, 1, kMaxPositions)
                      : json.integer(kKey, c.max_position_embeddings, 1, kMaxPositions);
  const bool has_factor = json.has("factor");
  s.factor = json.number("factor", 1, 1e-6, kMaxFactor);
  if (!has_factor && s.type != Type::llama3)
    s.factor = static_cast<double>(c.max_position_embeddings) / s.original_max_position_embeddings;
  if (json.has("attention_factor") && s.type != Type::llama3)
    s.attention_factor = json.number("attention_factor", 1, 0, kMaxFactor);
}

void read_scaling(ConfigReader& json, ConfigReader& outer, Type type, ModelConfig& c) {
  RopeScaling s;
  s.type = type;
  if (type == Type::linear || type == Type::dynamic) {
    if (!json.has("factor")) json.fail("factor", "is missing");
    s.factor = json.number("factor", 1, 1e-6, kMaxFactor);
    if (json.has("alpha")) json.fail("alpha", "is set, which is not supported");
    if (type == Type::dynamic && c.rotary_width() < 4)
      json.fail("factor", "needs a head_dim above 2");
  } else {
    read_original(json, outer, c, s);
    if (type == Type::llama3) read_llama3(json, s);
    if (type == Type::yarn) read_yarn(json, s);
  }
  if (type == Type::longrope) {
    s.short_factor = factors(json, "short_factor", static_cast<size_t>(c.rotary_width() / 2));
    s.long_factor = factors(json, "long_factor", static_cast<size_t>(c.rotary_width() / 2));
  }
  c.rope_scaling = s;
}

// The names of the types that the model type has. Phi-3's longrope has two older names.
std::optional<Type> scaling_type(const ModelType& type, const std::string& name) {
  if (type.only_longrope) {
    if (name == "longrope" || name == "su" || name == "yarn") return Type::longrope;
    return std::nullopt;
  }
  const auto* known = std::ranges::find_if(kNames, [&](const Name& n) { return name == n.text; });
  return known == std::end(kNames) ? std::nullopt : std::optional(known->type);
}

Status read_object(const Json& object, const std::string& where, ConfigReader& outer,
                   const ModelType& model_type, ModelConfig& config) {
  ConfigReader json(object, where);
  config.rope_theta = json.number("rope_theta", config.rope_theta, 1, 1e15);
  if (model_type.partial_rotary) {
    config.partial_rotary_factor =
        json.number("partial_rotary_factor", config.partial_rotary_factor, 0, 1);
  } else if (json.number("partial_rotary_factor", 1, 0, kMaxFactor) != 1) {
    json.fail("partial_rotary_factor", "is not 1, which is not supported");
  }
  if (json.number("llama_4_scaling_beta", 0, 0, kMaxFactor) != 0)
    json.fail("llama_4_scaling_beta", "is not 0, which is not supported");
  const char* type_key = json.has("rope_type") ? "rope_type" : "type";
  const std::string name = json.text(type_key, "default");
  if (const std::optional<Type> type = scaling_type(model_type, name)) {
    read_scaling(json, outer, *type, config);
  } else if (name != "default") {
    const char* known = model_type.only_longrope ? "default or longrope"
                                                 : "default, linear, dynamic, yarn, longrope or "
                                                   "llama3";
    json.fail(type_key,
              fmt::format("is \"{}\", which is not supported (expected {})", name, known));
  }
  LS_RETURN_IF_ERROR(json.status());
  return outer.status();
}

// The settings of layers with a window that have a theta of their own: nothing but that theta.
Status read_local_object(const Json& object, const std::string& where, ModelConfig& config) {
  ConfigReader json(object, where + ": sliding_attention");
  config.local_rope_theta = json.number("rope_theta", config.local_rope_theta, 1, 1e15);
  if (json.text("rope_type", "default") != "default")
    json.fail("rope_type", "is not \"default\", which is not supported");
  return json.status();
}

bool is_by_layer_type(const Json& object) {
  return object.contains("full_attention") || object.contains("sliding_attention");
}

// The settings that all layer types share. Error: they differ.
Result<Json> common_object(const Json& object, const std::string& where) {
  std::optional<Json> first;
  for (const char* type : {"full_attention", "sliding_attention"}) {
    if (!object.contains(type) || object.at(type).is_null()) continue;
    if (first && *first != object.at(type)) {
      return invalid_argument(where +
                              " has different settings for full_attention and "
                              "sliding_attention, which is not supported");
    }
    first = object.at(type);
  }
  if (!first || !first->is_object()) return invalid_argument(where + " has no settings");
  return *first;
}

}  // namespace

// As in transformers 5, a non-empty rope_scaling takes precedence over rope_parameters, and
// rope_theta inside the object over rope_theta outside.
Status read_rope(const Json& object, const std::string& where, ModelConfig& config) {
  const ModelType& type = *find_model_type(config.model_type);
  ConfigReader outer(object, where);
  config.rope_theta = outer.number("rope_theta", type.rope_theta, 1, 1e15);
  if (type.partial_rotary) {
    config.partial_rotary_factor =
        outer.number("partial_rotary_factor", type.partial_rotary_factor, 0, 1);
  }
  if (type.local_rope)
    config.local_rope_theta = outer.number("rope_local_base_freq", 10000.0, 1, 1e15);
  const bool old = outer.has("rope_scaling") && !outer.at("rope_scaling").empty();
  const char* key = old ? "rope_scaling" : "rope_parameters";
  if (!outer.has(key) || outer.at(key).empty()) return outer.status();
  const Json& given = outer.at(key);
  if (!given.is_object()) {
    outer.fail(key, "is " + ConfigReader::show(given) + ", expected an object");
    return outer.status();
  }
  const std::string place = where + ": " + key;
  if (!is_by_layer_type(given)) return read_object(given, place, outer, type, config);
  Json common = given.value("full_attention", Json());
  if (type.local_rope) {
    const Json local = given.value("sliding_attention", Json());
    if (local.is_object()) LS_RETURN_IF_ERROR(read_local_object(local, place, config));
    if (!common.is_object()) return invalid_argument(place + " has no settings of full_attention");
  } else {
    LS_ASSIGN_OR_RETURN(common, common_object(given, place));
  }
  return read_object(common, place, outer, type, config);
}

void write_rope(const ModelConfig& config, Json& json) {
  const ModelType& type = *find_model_type(config.model_type);
  Json rope = {{"rope_type", "default"}};
  if (config.rope_scaling) {
    const RopeScaling& s = *config.rope_scaling;
    const auto* name =
        std::ranges::find_if(kNames, [&](const Name& n) { return s.type == n.type; });
    rope = {{"rope_type", name->text}, {"factor", s.factor}};
    if (s.original_max_position_embeddings > 0)
      rope["original_max_position_embeddings"] = s.original_max_position_embeddings;
    if (s.type == Type::llama3) {
      rope["low_freq_factor"] = s.low_freq_factor;
      rope["high_freq_factor"] = s.high_freq_factor;
    }
    if (s.type == Type::yarn) {
      rope["beta_fast"] = s.beta_fast;
      rope["beta_slow"] = s.beta_slow;
      if (!s.truncate) rope["truncate"] = false;
      if (s.mscale != 0) rope["mscale"] = s.mscale;
      if (s.mscale_all_dim != 0) rope["mscale_all_dim"] = s.mscale_all_dim;
    }
    if (s.attention_factor) rope["attention_factor"] = *s.attention_factor;
    if (s.type == Type::longrope) {
      rope["short_factor"] = s.short_factor;
      rope["long_factor"] = s.long_factor;
    }
  }
  // Phi-3 has the length outside of the object, too.
  if (type.only_longrope && config.rope_scaling)
    json["original_max_position_embeddings"] = rope["original_max_position_embeddings"];
  json["rope_theta"] = config.rope_theta;  // transformers 4
  json["rope_scaling"] = config.rope_scaling ? rope : Json(nullptr);
  rope["rope_theta"] = config.rope_theta;  // transformers 5
  if (type.partial_rotary) {
    json["partial_rotary_factor"] = config.partial_rotary_factor;  // transformers 4
    rope["partial_rotary_factor"] = config.partial_rotary_factor;
  }
  if (config.has_local_rope()) {
    json["rope_local_base_freq"] = config.local_rope_theta;  // transformers 4
    rope = {
        {"full_attention", rope},
        {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", config.local_rope_theta}}}};
  }
  json["rope_parameters"] = rope;
}

}  // namespace longshot::model
