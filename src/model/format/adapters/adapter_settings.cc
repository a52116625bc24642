#include "model/format/adapters/adapter_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>

#include "base/json.h"
#include "base/log.h"
#include "base/os/fs.h"
#include "model/format/config_reader.h"

namespace longshot::model {
namespace {

constexpr int kMaxRank = 1 << 16, kMaxTokens = 1 << 24, kMaxLayers = 1 << 10;
constexpr double kMaxAlpha = 1e9;

// Settings that this program reads, or that do not change the function that the adapter computes.
constexpr std::string_view kKnown[] = {
    "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules",
    "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save", "bias",
    "lora_bias", "use_dora", "trainable_token_indices", "ensure_weight_tying", "init_lora_weights",
    "peft_type", "task_type", "base_model_name_or_path", "lora_dropout",
    // No effect: peft ignores fan_in_fan_out for linear layers. The others describe how the adapter
    // was made or run.
    "fan_in_fan_out", "auto_mapping", "revision", "peft_version", "inference_mode",
    "megatron_config", "megatron_core", "loftq_config", "eva_config", "corda_config",
    "lora_ga_config", "qalora_group_size", "runtime_config"};

// Values of init_lora_weights that do not change the base model's weights.
constexpr std::string_view kPlainStarts[] = {"gaussian", "eva", "orthogonal", "mica"};

const char* kMergeInPeft = "; merge it with peft's merge_and_unload() and use the merged model";

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool is_neutral(const Json& value) {
  return value.is_null() || value == false || (value.is_structured() && value.empty());
}

void check_keys(const Json& object, ConfigReader& json) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(kKnown, key) != std::end(kKnown) || is_neutral(value)) continue;
    json.fail(key.c_str(), fmt::format("is {}, which is not supported{}", ConfigReader::show(value),
                                       kMergeInPeft));
  }
}

// PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA subtract the adapter's initial value from the base model's
// weights, so the trained model cannot be reconstructed from the adapter only.
void check_start(ConfigReader& json, AdapterSettings& settings) {
  constexpr const char* kKey = "init_lora_weights";
  if (!json.has(kKey) || json.at(kKey).is_boolean()) return;
  const Json& value = json.at(kKey);
  const std::string name = value.is_string() ? lower(value.get<std::string>()) : "";
  if (std::ranges::find(kPlainStarts, name) == std::end(kPlainStarts)) {
    json.fail(
        kKey,
        fmt::format("is {}, which may change the base model's weights: the adapter belongs to the "
                    "changed ones and cannot be used with the original ones. Save it with "
                    "path_initial_model_for_weight_conversion, which makes it a plain adapter, or "
                    "merge it with peft's merge_and_unload() and use the merged model",
                    ConfigReader::show(value)));
  }
  if (name == "mica") settings.not_trained = "init_lora_weights = mica";
}

// Accepts a list of strings or one string.
std::vector<std::string> texts(ConfigReader& json, const char* key) {
  std::vector<std::string> out;
  if (!json.has(key)) return out;
  const Json& value = json.at(key);
  if (!value.is_array()) {
    json.fail(key, "is " + ConfigReader::show(value) + ", expected a list of names");
    return out;
  }
  for (const Json& item : value) {
    if (item.is_string())
      out.push_back(item.get<std::string>());
    else
      json.fail(key, "holds " + ConfigReader::show(item) + ", expected names");
  }
  return out;
}

Status compile(const std::string& expression, ModulePattern::Match match, const std::string& where,
               std::optional<ModulePattern>& out) {
  LS_ASSIGN_OR_RETURN(out, ModulePattern::compile(expression, match, where));
  return ok_status();
}

Status read_targets(ConfigReader& json, AdapterSettings& settings) {
  AdapterSettings::Targets& t = settings.target_modules;
  const auto where = [&](const char* key) { return settings.where + ": '" + key + "'"; };
  t.any = !json.has("target_modules");
  if (json.has("target_modules") && json.at("target_modules").is_string()) {
    const std::string text = json.at("target_modules").get<std::string>();
    t.all_linear = lower(text) == "all-linear";
    if (!t.all_linear) {
      LS_RETURN_IF_ERROR(
          compile(text, ModulePattern::Match::whole, where("target_modules"), t.pattern));
    }
  } else {
    t.names = texts(json, "target_modules");
  }
  if (json.has("exclude_modules") && json.at("exclude_modules").is_string()) {
    LS_RETURN_IF_ERROR(compile(json.at("exclude_modules").get<std::string>(),
                               ModulePattern::Match::whole, where("exclude_modules"),
                               t.excluded_pattern));
  } else {
    t.excluded = texts(json, "exclude_modules");
  }
  for (const std::string& name : texts(json, "modules_to_save")) {
    LS_ASSIGN_OR_RETURN(
        ModulePattern saved,
        ModulePattern::compile(name, ModulePattern::Match::part, where("modules_to_save")));
    t.saved.push_back(std::move(saved));
  }
  return json.status();
}

Status read_layers(ConfigReader& json, AdapterSettings& settings) {
  constexpr const char* kLayers = "layers_to_transform";
  constexpr const char* kLists = "layers_pattern";
  AdapterSettings::Targets& t = settings.target_modules;
  if (json.has(kLayers)) {
    const Json& value = json.at(kLayers);
    for (const Json& layer : value.is_array() ? value : Json::array({value}))
      t.layers.push_back(static_cast<int>(json.checked_integer(kLayers, layer, 0, kMaxLayers)));
  }
  std::vector<std::string> lists;
  if (json.has(kLists) && json.at(kLists).is_string())
    lists = {json.at(kLists).get<std::string>()};
  else
    lists = texts(json, kLists);
  for (const std::string& list : lists) {
    if (list.empty()) continue;
    LS_ASSIGN_OR_RETURN(ModulePattern pattern,
                        ModulePattern::compile(list, ModulePattern::Match::ending,
                                               settings.where + ": '" + kLists + "'"));
    t.layer_lists.push_back(std::move(pattern));
  }
  return json.status();
}

// Reads patterns in the file's order, because the first one that matches applies.
template <typename T>
Status read_patterns(const OrderedJson& object, const char* key, double low, double high,
                     const std::string& where, std::vector<std::pair<ModulePattern, T>>& out) {
  if (!object.contains(key) || object.at(key).is_null()) return ok_status();
  const OrderedJson& patterns = object.at(key);
  const std::string place = where + ": '" + key + "'";
  if (!patterns.is_object()) return invalid_argument(place + " is not an object");
  for (const auto& [expression, value] : patterns.items()) {
    const bool number = std::is_integral_v<T> ? value.is_number_integer() : value.is_number();
    const double amount = number ? value.template get<double>() : -1;
    if (!(amount >= low && amount <= high)) {
      return invalid_argument(fmt::format(
          "{} gives '{}' the value {}, expected {} from {} to {}", place, expression,
          dump_json(value), std::is_integral_v<T> ? "an integer" : "a number", low, high));
    }
    LS_ASSIGN_OR_RETURN(ModulePattern pattern,
                        ModulePattern::compile(expression, ModulePattern::Match::ending, place));
    out.emplace_back(std::move(pattern), static_cast<T>(amount));
  }
  return ok_status();
}

// A list contains rows of the embedding; an object names the embeddings.
void read_token_rows(ConfigReader& json, AdapterSettings& settings) {
  constexpr const char* kKey = "trainable_token_indices";
  if (!json.has(kKey) || is_neutral(json.at(kKey))) return;
  const Json& value = json.at(kKey);
  const Json rows = value.is_array() ? Json{{"embed_tokens", value}} : value;
  if (!rows.is_object())
    return json.fail(kKey, "is " + ConfigReader::show(value) + ", expected token ids");
  for (const auto& [module, ids] : rows.items()) {
    std::vector<int>& list = settings.token_rows[module.substr(module.rfind('.') + 1)];
    for (const Json& id : ids.is_array() ? ids : Json::array({ids}))
      list.push_back(static_cast<int>(json.checked_integer(kKey, id, 0, kMaxTokens)));
  }
}

// True if the adapter of a classifier saves its head and nothing else. PEFT lists both names that
// the head may have.
bool saves_heads_alone(const Json& object, bool scored) {
  const Json modules = object.value("modules_to_save", Json());
  return scored && modules.is_array() && std::ranges::all_of(modules, [](const Json& m) {
           return m == "classifier" || m == "score";
         });
}

void read_merged_settings(const Json& object, ConfigReader& json, AdapterSettings& settings) {
  const auto merged_only = [&](bool used, const std::string& name) {
    if (used && settings.only_merged.empty()) settings.only_merged = name;
  };
  settings.dora = json.flag("use_dora", false);
  settings.keep_tied = json.flag("ensure_weight_tying", false);
  merged_only(settings.dora, "use_dora");
  merged_only(json.flag("lora_bias", false), "lora_bias");
  const std::string bias = json.text("bias", "none");
  if (bias != "none" && bias != "all" && bias != "lora_only")
    json.fail("bias", "is \"" + bias + "\", expected none, all or lora_only");
  merged_only(bias != "none", "bias = " + bias);
  read_token_rows(json, settings);
  merged_only(!settings.token_rows.empty(), "trainable_token_indices");
  const bool saves = json.has("modules_to_save") && !is_neutral(json.at("modules_to_save"));
  merged_only(saves && !saves_heads_alone(object, settings.scored), "modules_to_save");
}

bool ends_with_one_of(const std::vector<std::string>& names, const std::string& module) {
  return std::ranges::any_of(names, [&](const std::string& name) {
    return module == name || module.ends_with("." + name);
  });
}

// True if the module's layer is listed in layers_to_transform: for
// "model.layers.3.self_attn.q_proj" that is the 3 after "model.layers". The first list of layers in
// the name decides.
Result<bool> is_chosen_layer(const AdapterSettings::Targets& t, const std::string& module) {
  for (size_t dot = module.find('.'); dot != std::string::npos; dot = module.find('.', dot + 1)) {
    const size_t end = module.find_first_not_of("0123456789", dot + 1);
    if (end == dot + 1 || end == std::string::npos || module[end] != '.') continue;
    bool listed = t.layer_lists.empty();
    for (const ModulePattern& list : t.layer_lists) {
      LS_ASSIGN_OR_RETURN(const bool found, list.matches(module.substr(0, dot)));
      listed = listed || found;
    }
    if (!listed) continue;
    return std::ranges::find(t.layers, std::stoi(module.substr(dot + 1, end - dot - 1))) !=
           t.layers.end();
  }
  return false;
}

}  // namespace

Result<LoraOptions> AdapterSettings::options_of(const std::string& module) const {
  LoraOptions options = lora;
  const auto apply = [&](const auto& patterns, auto& value) -> Status {
    for (const auto& [pattern, given] : patterns) {
      LS_ASSIGN_OR_RETURN(const bool found, pattern.matches(module));
      if (found) value = given;
      if (found) break;
    }
    return ok_status();
  };
  LS_RETURN_IF_ERROR(apply(ranks, options.rank));
  LS_RETURN_IF_ERROR(apply(alphas, options.alpha));
  return options;
}

Result<bool> AdapterSettings::targets(const std::string& module) const {
  const Targets& t = target_modules;
  if (t.excluded_pattern) {
    LS_ASSIGN_OR_RETURN(const bool found, t.excluded_pattern->matches(module));
    if (found) return false;
  }
  if (ends_with_one_of(t.excluded, module)) return false;
  LS_ASSIGN_OR_RETURN(const bool saved, saves(module));
  if (saved) return false;
  if (t.any) return true;
  if (t.all_linear) return module.ends_with("_proj");
  if (t.pattern) return t.pattern->matches(module);
  if (std::ranges::find(t.names, module) != t.names.end()) return true;
  const bool named = ends_with_one_of(t.names, module);
  return named && !t.layers.empty() ? is_chosen_layer(t, module) : Result<bool>(named);
}

Result<bool> AdapterSettings::saves(const std::string& module) const {
  for (const ModulePattern& saved : target_modules.saved) {
    LS_ASSIGN_OR_RETURN(const bool found, saved.matches(module));
    if (found) return true;
  }
  return false;
}

Result<AdapterSettings> read_adapter_settings(const std::string& directory) {
  AdapterSettings settings;
  settings.where = (std::filesystem::path(directory) / "adapter_config.json").string();
  LS_ASSIGN_OR_RETURN(const Json object, read_json_file(settings.where));
  if (!object.is_object()) return invalid_argument(settings.where + ": not a JSON object");
  ConfigReader json(object, settings.where);
  const std::string type = json.text("peft_type", "");
  if (type != "LORA") json.fail("peft_type", "is \"" + type + "\", expected LORA");
  settings.scored = json.text("task_type", "") == "SEQ_CLS";
  settings.base = json.text("base_model_name_or_path", "");
  settings.lora.rank = json.integer("r", std::nullopt, 1, kMaxRank);
  settings.lora.alpha = json.number("lora_alpha", 8, 0, kMaxAlpha);
  settings.lora.rslora = json.flag("use_rslora", false);
  check_start(json, settings);
  read_merged_settings(object, json, settings);
  check_keys(object, json);
  LS_RETURN_IF_ERROR(json.status());
  LS_RETURN_IF_ERROR(read_targets(json, settings));
  LS_RETURN_IF_ERROR(read_layers(json, settings));
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(settings.where));
  LS_ASSIGN_OR_RETURN(const OrderedJson ordered, parse_ordered_json(text, settings.where));
  LS_RETURN_IF_ERROR(
      read_patterns(ordered, "rank_pattern", 1, kMaxRank, settings.where, settings.ranks));
  LS_RETURN_IF_ERROR(
      read_patterns(ordered, "alpha_pattern", 0, kMaxAlpha, settings.where, settings.alphas));
  const double dropout = json.number("lora_dropout", 0, 0, 1);
  if (dropout != 0) {
    log::warn("{}: lora_dropout {} is not applied: longshot has no dropout", settings.where,
              dropout);
  }
  return settings;
}

}  // namespace longshot::model
