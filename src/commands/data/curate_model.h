#pragma once
// The local model that `longshot curate --model` asks in the stages hackable and difficulty.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "commands/data/sample_model.h"
#include "config/sections/reward.h"
#include "curate/stages/pipeline.h"

namespace longshot::commands {

struct CurateModelOptions {
  InferenceOptions inference;  // without a model's path there is no model
  LocalModelOptions local;
  std::vector<std::string> rewards = {"auto"};
  config::RewardOptions reward;
};

// Adds --model, the sampling options and those of the judge. `options` must outlive the app.
void add_curate_model_options(CLI::App& command, CurateModelOptions& options);

// Returns the model for the stages; one without a function if no model is given. The model is
// loaded when a stage asks it. `options` must outlive the result. Errors: there is no such model;
// a reward that cannot be parsed.
Result<curate::CurateModel> make_curate_model(CurateModelOptions& options);

}  // namespace longshot::commands
