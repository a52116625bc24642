#pragma once
// Shared by `generate`, `chat` and `serve`: a loaded model, common options, and an engine.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/status.h"
#include "inference/open_model.h"

namespace longshot::commands {

struct InferenceOptions {
  inference::ModelChoice model;
  inference::EngineChoice engine;
  std::string system;  // first message of a chat; empty = none
  rollout::Speculation speculation = rollout::Speculation::off;
  uint64_t seed = 0;
  rollout::SamplingOptions sampling;
  const CLI::Option* max_tokens = nullptr;  // null: another setting gives the length of responses

  // True if the length of responses is the command's default, which a small model may lower.
  bool has_default_length() const { return max_tokens != nullptr && max_tokens->count() == 0; }
};

// Adds --chat-template and --chat-template-args, for every command that has them.
void add_chat_template_options(CLI::App& command, std::string& chat_template,
                               std::string& arguments);
// Adds these, --model, --system, --device, --threads, --dtype, --kv-dtype. `options` must
// outlive the app.
void add_model_options(CLI::App& command, InferenceOptions& options);
// Adds those, --speculation, --seed and the sampling options.
void add_inference_options(CLI::App& command, InferenceOptions& options);

// Reads the model; returns an error if it has no tokenizer. Stores the model's end tokens in
// options.sampling.stop_tokens.
Result<model::ModelFiles> load_for_inference(InferenceOptions& options);

}  // namespace longshot::commands
