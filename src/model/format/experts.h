#pragma once
// The keys of config.json about mixtures of experts.

#include <string>

#include "base/json.h"
#include "base/status.h"
#include "model/format/config.h"
#include "model/format/config_reader.h"
#include "model/format/model_types.h"

namespace longshot::model {

void read_experts(ConfigReader& json, const ModelType& type, ModelConfig& config);
// Error: numbers that no model of this type has.
Status check_experts(const ModelType& type, const ModelConfig& config, const std::string& where);
void write_experts(const ModelType& type, const ModelConfig& config, Json& json);

}  // namespace longshot::model
