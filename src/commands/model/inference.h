#pragma once
// What `generate`, `chat` and `serve` share: a loaded model, the options they have in common, an engine for it.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/status.h"
#include "model/format/model_files.h"
#include "rollout/engine.h"

namespace longshot::commands {

struct InferenceOptions {
  std::string model;                              // Hugging Face directory or .gguf file
  std::string chat_template, chat_template_args;  // instead of the model's own; JSON
  std::string system;                             // first message of a chat; empty = none
  std::string device = "cpu";
  int threads = 0;  // 0 = all usable cores
  std::string dtype = "float32", kv_dtype = "float32";
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

// CPU kernels for the device "cpu", libtorch for any other. Empties files.weights: the runner has its own copy.
// The engine borrows files.tokenizer.
Result<std::unique_ptr<rollout::Engine>> make_engine(const InferenceOptions& options,
                                                     model::ModelFiles& files,
                                                     rollout::RunnerLimits limits);

}  // namespace longshot::commands
