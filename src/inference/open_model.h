#pragma once
// A model directory or GGUF file becomes what generates text: files, then an engine. The commands and the loop open
// models here only.

#include <memory>
#include <string>

#include "base/status.h"
#include "model/format/model_files.h"
#include "rollout/engine.h"

namespace longshot::inference {

struct ModelChoice {
  std::string path;           // Hugging Face directory, adapter directory or .gguf file
  std::string chat_template;  // as tokenizer::ChatTemplate::choose() takes it; "" = the model's
  std::string chat_template_args;  // a JSON object; "" = none
};
// The weights on the host, the tokenizer and the chat template. An error if the model has no tokenizer.
Result<model::ModelFiles> open_model(const ModelChoice& choice);
// The same, reward models with a scalar head included.
Result<model::ModelFiles> open_any_model(const ModelChoice& choice);

// A warning where prompts would change from day to day.
void warn_of_date(const tokenizer::ChatTemplate& chat_template);

struct EngineChoice {
  std::string kernels =
      "auto";  // "cpu", "libtorch", or "auto": the CPU kernels for the device "cpu"
  std::string device = "cpu";
  int threads = 0;  // 0 = all usable cores, by the control group's quota
  std::string dtype = "float32", kv_dtype = "float32";
};
// What executes passes; it has no weights yet. Errors: an unknown device or format.
Result<std::unique_ptr<rollout::Runner>> make_runner(const EngineChoice& choice,
                                                     rollout::RunnerLimits limits, int threads);

// An engine with the weights of `files`, which are emptied: the runner has its own copy. The engine borrows
// files.tokenizer.
Result<std::unique_ptr<rollout::Engine>> open_engine(const EngineChoice& choice,
                                                     model::ModelFiles& files,
                                                     const rollout::RunnerLimits& limits);

// Limits with room for the longest prompt and response; an error if the model has fewer positions.
Result<rollout::RunnerLimits> limits_for(const model::ModelConfig& config, int max_running,
                                         int max_prompt_length, int max_response_length);
// For commands that may exceed the positions: a warning that they do. `what` is the subject of its sentence.
void warn_of_positions(const model::ModelConfig& config, int max_sequence, const std::string& what);

}  // namespace longshot::inference
