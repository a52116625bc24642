#pragma once
// The local model of `longshot sample`.

#include <memory>
#include <string>
#include <vector>

#include "commands/model/inference.h"
#include "curate/samples/asks.h"
#include "curate/samples/sample_source.h"

namespace longshot::commands {

struct LocalModelOptions {
  int max_concurrent = 256;              // samples in flight
  std::vector<std::string> stop_tokens;  // as texts or ids
};

void add_local_options(CLI::App& command, LocalModelOptions& options);

// The model, and the prompts that fit it.
struct LocalModel {
  model::ModelFiles files;
  rollout::RunnerLimits limits;
  int64_t prompt_tokens = 0;  // of all prompts together
};

// Adds what samples depend on: number formats, stop tokens, and checksums of the weights' files, so
// that a model that was trained further is not taken for the one of an earlier run.
Status add_model_settings(const InferenceOptions& inference, const LocalModelOptions& options,
                          OrderedJson& settings);

// Reads the model, tokenizes the asked prompts and removes those that leave no room for a response
// of --max-tokens, with a warning. Where that is the default, a small model may lower it.
Result<LocalModel> read_local_model(InferenceOptions& inference, const LocalModelOptions& options,
                                    const curate::AskOptions& ask, std::vector<curate::Ask>& asks);

// For a plan: prompt tokens and memory, in two lines.
std::string describe(const LocalModel& model, const InferenceOptions& inference);

// Starts the engine. `max_waiting`: the most samples that are asked for at a time.
Result<std::unique_ptr<curate::SampleSource>> open_local_source(const InferenceOptions& inference,
                                                                LocalModel& model, int max_waiting);

// Tokenizes the asked prompts for a server, with the tokenizer and chat template of a model.
Status tokenize_asks(const std::string& model, const curate::AskOptions& ask,
                     std::vector<curate::Ask>& asks);

}  // namespace longshot::commands
