#pragma once
// From what training leaves behind to the model in it. Thread-safe.

#include <string>

#include "base/status.h"

namespace longshot::model {

// The model that `path` names. A .gguf file, a model directory (config.json), an adapter
// (adapter_config.json) and a directory with a tokenizer.json are themselves. A checkpoint, and the
// run folder of `sft` or `rm`, name the model below them, in huggingface/ or adapter/. Another run
// folder names the checkpoint in its latest_checkpointed_iteration.txt, else its newest one. What was
// taken is logged if it is not `path`. Error: nothing of the kind is there.
Result<std::string> find_model(const std::string& path);

}  // namespace longshot::model
