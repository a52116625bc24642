#pragma once
// The layers with a sliding window in config.json.

#include <string>

#include "base/json.h"
#include "base/status.h"
#include "model/format/config_reader.h"
#include "model/format/model_types.h"

namespace longshot::model {

// Chooses the layers as transformers' configuration classes do; num_layers and no_rope_layers must
// be known. Errors are kept by `json`.
void read_windows(ConfigReader& json, const ModelType& type, ModelConfig& config);
// Error: a window without layers that use it, or layers that a model of this type cannot have.
Status check_windows(const ModelType& type, const ModelConfig& config, const std::string& where);
// For readers that do not know layer_types, the other keys give the same windows as far as they can
// describe them.
void write_windows(const ModelType& type, const ModelConfig& config, Json& json);

}  // namespace longshot::model
