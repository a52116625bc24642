#include "model/format/windows.h"

#include <algorithm>

namespace longshot::model {
namespace {

constexpr int kMaxPositions = 1 << 28, kMaxLayers = 1 << 20;
constexpr const char* kLayerTypes = "layer_types";

bool has_all_or_none(const ModelType& type) {
  return type.windows == Windows::every_layer || type.windows == Windows::if_used;
}

// The layers that have a window without layer_types.
std::vector<bool> usual_layers(ConfigReader& json, const ModelType& type, const ModelConfig& c) {
  const int first = type.windows == Windows::last_layers
                        ? json.integer("max_window_layers", 28, 0, kMaxLayers)
                        : 0;
  const int pattern =
      type.windows == Windows::pattern
          ? json.integer("sliding_window_pattern", type.window_pattern, 1, kMaxLayers)
          : 0;
  std::vector<bool> layers;
  for (int layer = 0; layer < c.num_layers; ++layer) {
    const bool no_rope = type.windows == Windows::no_rope_layers;
    layers.push_back(no_rope       ? !c.rotates(layer)
                     : pattern > 0 ? (layer + 1) % pattern != 0
                                   : layer >= first);
  }
  return layers;
}

void read_layer_types(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  const Json& types = json.at(kLayerTypes);
  const auto known = [](const Json& t) {
    return t == "full_attention" || t == "sliding_attention";
  };
  if (!types.is_array() || static_cast<int>(types.size()) != config.num_layers ||
      !std::all_of(types.begin(), types.end(), known)) {
    return json.fail(kLayerTypes,
                     fmt::format("is {}, expected \"full_attention\" or \"sliding_attention\" "
                                 "for each of the {} layers",
                                 ConfigReader::show(types), config.num_layers));
  }
  for (const Json& t : types) config.sliding_layers.push_back(t == "sliding_attention");
  const bool any = std::ranges::count(config.sliding_layers, true) > 0;
  if (any && (type.windows == Windows::never || config.sliding_window == 0)) {
    json.fail(kLayerTypes,
              "has \"sliding_attention\", but the model has no sliding window (sliding_window, "
              "use_sliding_window)");
  }
}

// Whether the model uses the window that the type may have.
bool is_used(ConfigReader& json, const ModelType& type) {
  // In some types null means no window, in others the default's size is needed.
  const bool null = json.contains("sliding_window") && !json.has("sliding_window");
  switch (type.windows) {
    case Windows::never:
      return false;
    case Windows::every_layer:
      return !null && (type.window > 0 || json.has("sliding_window"));
    case Windows::if_used:
    case Windows::last_layers:
      return !null && json.flag("use_sliding_window", false);
    case Windows::no_rope_layers:
      return json.has("sliding_window") && json.flag("use_sliding_window", false);
    case Windows::pattern:
      return !null;
  }
  return false;
}

}  // namespace

void read_windows(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  if (is_used(json, type)) {
    config.sliding_window = type.window > 0
                                ? json.integer("sliding_window", type.window, 1, kMaxPositions)
                                : json.integer("sliding_window", std::nullopt, 1, kMaxPositions);
  }
  if (!has_all_or_none(type) && json.has(kLayerTypes)) {
    read_layer_types(json, type, config);
  } else if (config.sliding_window > 0) {
    config.sliding_layers = usual_layers(json, type, config);
  }
  if (std::ranges::count(config.sliding_layers, true) > 0) return;
  config.sliding_window = 0;
  config.sliding_layers.clear();
}

Status check_windows(const ModelType& type, const ModelConfig& c, const std::string& where) {
  const auto sliding = std::ranges::count(c.sliding_layers, true);
  const bool all = sliding == c.num_layers;
  if (sliding == 0 && c.sliding_window == 0) return ok_status();
  if (sliding == 0 || static_cast<int>(c.sliding_layers.size()) != c.num_layers ||
      c.sliding_window < 1 || type.windows == Windows::never || (has_all_or_none(type) && !all)) {
    return invalid_argument(fmt::format("{}: no {} model has a window of {} in {} of {} layers",
                                        where, c.model_type, c.sliding_window, sliding,
                                        c.num_layers));
  }
  return ok_status();
}

void write_windows(const ModelType& type, const ModelConfig& c, Json& json) {
  const bool windows = c.sliding_window > 0;
  // Transformers reads the size of a pattern even if no layer uses it.
  const bool pattern = type.windows == Windows::pattern;
  const Json size = windows ? Json(c.sliding_window) : pattern ? Json(type.window) : Json();
  if (type.windows == Windows::every_layer) json["sliding_window"] = size;
  if (type.windows == Windows::never || type.windows == Windows::every_layer) return;
  if (!pattern) json["use_sliding_window"] = windows;
  if (!windows && !pattern) return;
  json["sliding_window"] = size;
  if (type.windows == Windows::if_used) return;
  if (type.windows == Windows::last_layers) {
    int full = c.num_layers;
    while (full > 0 && c.sliding_layers[full - 1]) --full;
    json["max_window_layers"] = full;
  }
  for (int layer = 0; layer < c.num_layers; ++layer)
    json[kLayerTypes].push_back(c.window_of(layer) > 0 ? "sliding_attention" : "full_attention");
}

}  // namespace longshot::model
