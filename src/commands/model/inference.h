#pragma once
// What `generate`, `chat` and `serve` share: a loaded model, the options they have in common, an engine for it.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/status.h"
#include "inference/open_model.h"

namespace longshot::commands {

struct InferenceOptions {
  inference::ModelChoice model;
  inference::EngineChoice engine;
  std::string system;               // first message of a chat; empty = none
  std::string speculation = "off";  // or "ngram"
  uint64_t seed = 0;
  rollout::SamplingOptions sampling;
};

// --speculation, in every command that has it.
void add_speculation_option(CLI::App& command, std::string& speculation);

// Adds --model, --system, --device, --threads, --dtype, --kv-dtype. `options` must outlive the app.
void add_model_options(CLI::App& command, InferenceOptions& options);
// Those, --speculation, --seed and the sampling options.
void add_inference_options(CLI::App& command, InferenceOptions& options);

// Reads the model; an error if it has no tokenizer. Fills options.sampling.stop_tokens with its end tokens.
Result<model::ModelFiles> load_for_inference(InferenceOptions& options);

}  // namespace longshot::commands
