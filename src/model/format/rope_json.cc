// The rotary embedding's settings in config.json.

#include <algorithm>

#include "model/format/config.h"
#include "model/format/config_reader.h"
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
    if (type == Type::dynamic && c.head_dim < 4) json.fail("factor", "needs a head_dim above 2");
  } else {
    read_original(json, outer, c, s);
    if (type == Type::llama3) read_llama3(json, s);
    if (type == Type::yarn) read_yarn(json, s);
  }
  if (type == Type::longrope) {
    s.short_factor = factors(json, "short_factor", static_cast<size_t>(c.head_dim / 2));
    s.long_factor = factors(json, "long_factor", static_cast<size_t>(c.head_dim / 2));
  }
  c.rope_scaling = s;
}

Status read_object(const Json& object, const std::string& where, ConfigReader& outer,
                   ModelConfig& config) {
  ConfigReader json(object, where);
  config.rope_theta = json.number("rope_theta", config.rope_theta, 1, 1e15);
  for (const char* key : {"partial_rotary_factor", "llama_4_scaling_beta"}) {
    const double plain = key[0] == 'p' ? 1 : 0;
    if (json.number(key, plain, 0, kMaxFactor) != plain)
      json.fail(key, fmt::format("is not {}, which is not supported", plain));
  }
  const char* type_key = json.has("rope_type") ? "rope_type" : "type";
  const std::string type = json.text(type_key, "default");
  const auto* name = std::ranges::find_if(kNames, [&](const Name& n) { return type == n.text; });
  if (name != std::end(kNames)) {
    read_scaling(json, outer, name->type, config);
  } else if (type != "default") {
    json.fail(type_key, "is \"" + type +
                            "\", which is not supported (expected default, linear, dynamic, yarn, "
                            "longrope or llama3)");
  }
  LS_RETURN_IF_ERROR(json.status());
  return outer.status();
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
  ConfigReader outer(object, where);
  config.rope_theta = outer.number("rope_theta", 10000.0, 1, 1e15);
  const bool old = outer.has("rope_scaling") && !outer.at("rope_scaling").empty();
  const char* key = old ? "rope_scaling" : "rope_parameters";
  if (!outer.has(key) || outer.at(key).empty()) return outer.status();
  const Json& given = outer.at(key);
  if (!given.is_object()) {
    outer.fail(key, "is " + ConfigReader::show(given) + ", expected an object");
    return outer.status();
  }
  const std::string place = where + ": " + key;
  if (!is_by_layer_type(given)) return read_object(given, place, outer, config);
  LS_ASSIGN_OR_RETURN(const Json common, common_object(given, place));
  return read_object(common, place, outer, config);
}

void write_rope(const ModelConfig& config, Json& json) {
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
  json["rope_theta"] = config.rope_theta;  // transformers 4
  json["rope_scaling"] = config.rope_scaling ? rope : Json(nullptr);
  rope["rope_theta"] = config.rope_theta;  // transformers 5
  json["rope_parameters"] = rope;
}

}  // namespace longshot::model
