#pragma once
// The safetensors files of a Hugging Face model directory: one file, or shards with an index.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/config.h"
#include "model/format/model_files.h"
#include "model/format/weights_view.h"

namespace longshot::model {

// All weights of the architecture, in the order of expected_weights(config), as f32. Harmless
// extras (rotary buffers, the copy of a tied head) are skipped; any other difference is an error
// that names the tensor.
Result<std::vector<HostTensor>> read_hf_weights(const std::string& directory,
                                                const ModelConfig& config);

// Writes model.safetensors, or shards of at most `max_shard_bytes` with an index, after removing
// those of an earlier model in the directory. A tensor larger than the limit gets its own shard.
Status write_hf_weights(const std::string& directory, const WeightsView& weights,
                        const std::string& dtype, int64_t max_shard_bytes);

}  // namespace longshot::model
