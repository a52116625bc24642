#pragma once
// Opens a model directory or GGUF file: first its files, then an engine that generates with them.
// Commands and the loop open models only here.

#include <memory>
#include <string>

#include "base/number_format.h"
#include "base/status.h"
#include "model/format/model_files.h"
#include "rollout/engine.h"
#include "rollout/runner_kind.h"

namespace longshot::inference {

struct ModelChoice {
  std::string path;                // Hugging Face directory, adapter directory or .gguf file
  std::string chat_template = "";  // as for tokenizer::ChatTemplate::choose(); "" = the model's
  std::string chat_template_args = "";  // a JSON object; "" = none
};
// Reads the weights into host memory, the tokenizer and the chat template. Error: the files are
// unsound, the model has no tokenizer, or the chosen template or its arguments are invalid.
Result<model::ModelFiles> open_model(const ModelChoice& choice);
// The same, but also accepts reward models with a scalar head.
Result<model::ModelFiles> open_any_model(const ModelChoice& choice);

// Logs a warning if prompts would change from day to day because the template writes the date.
void warn_of_date(const tokenizer::ChatTemplate& chat_template);

struct EngineChoice {
  rollout::RunnerKind runner = rollout::RunnerKind::automatic;
  std::string device = "cpu";
  int threads = 0;  // 0 = all usable cores, within the control group's quota
  NumberFormat dtype = NumberFormat::f32, kv_dtype = NumberFormat::f32;  // float32 with libtorch
};
// Makes the runner that executes passes; it has no weights yet. Error: an unknown device, or a
// number format other than float32 with libtorch.
Result<std::unique_ptr<rollout::Runner>> make_runner(const EngineChoice& choice,
                                                     rollout::RunnerLimits limits, int threads);

// Makes an engine with the weights of `files`. files.weights is emptied, because the runner has its
// own copy. The engine borrows files.tokenizer. Errors of the weights name `model`.
Result<std::unique_ptr<rollout::Engine>> open_engine(const ModelChoice& model,
                                                     const EngineChoice& choice,
                                                     model::ModelFiles& files,
                                                     const rollout::RunnerLimits& limits);

// Returns limits with room for the longest prompt and response. Error: the model has fewer
// positions, or its rotary embedding does not reach that length.
Result<rollout::RunnerLimits> limits_for(const model::ModelConfig& config, int max_running,
                                         int max_prompt_length, int max_response_length);
// Returns the longest prompt that leaves room for `response` tokens. Where that length is a default
// and not the user's choice, prompts have at least half of the model's positions.
int prompt_room(const model::ModelConfig& config, int response, bool is_default);
// For commands whose user gave no length of responses: lowers `response`, the default, to what the
// model's positions leave beside the longest prompt, and says so. A prompt that leaves nothing
// changes nothing.
void fit_default_response(const model::ModelConfig& config, int longest_prompt, int& response);
// Logs a warning if `max_sequence` exceeds the model's positions, for commands that allow it.
// `what` is the subject of the sentence.
void warn_of_positions(const model::ModelConfig& config, int max_sequence, const std::string& what);

}  // namespace longshot::inference
