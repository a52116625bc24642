#pragma once
// The configuration of a model in a GGUF file.

#include <string>

#include "model/format/config.h"
#include "model/format/gguf/gguf.h"

namespace longshot::model {

struct GgufArchitecture {
  const char* name;  // general.architecture, and the prefix of its keys
  const char* model_type;
  bool interleaved;  // the rows of q and k are in the order of rotating pairs
};
// The tensors of a file that are part of the configuration: divisors of the rotary embedding.
constexpr const char* kRopeFactors = "rope_freqs.weight";
constexpr const char* kLongFactors = "rope_factors_long.weight";
constexpr const char* kShortFactors = "rope_factors_short.weight";

// Null: no GGUF file has a model of this type, or none is supported.
const GgufArchitecture* find_gguf_architecture(const std::string& model_type);

// The dtype is that of the embedding if it is not quantized, otherwise float32.
Result<ModelConfig> read_gguf_config(const GgufFile& file);

}  // namespace longshot::model
