#pragma once
// Finds the model in what training leaves behind. Thread-safe.

#include <string>

#include "base/status.h"

namespace longshot::model {

// The model that `path` names:
// - A .gguf file, a model directory (config.json), an adapter (adapter_config.json) and a directory
//   with only a tokenizer, which is enough for `tokenize`, are named directly.
// - A checkpoint, and the run folder of `sft` or `rm`, name the model in their folder huggingface/
//   or adapter/.
// - Any other run folder names a checkpoint with a model: the one in its
//   latest_checkpointed_iteration.txt, else the newest.
// The result is logged if it is not `path`. Error: there is no such model.
Result<std::string> find_model(const std::string& path);

}  // namespace longshot::model
