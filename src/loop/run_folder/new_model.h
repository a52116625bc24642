#pragma once
// Creates a new model: random weights, and a vocabulary of the characters of a file.

#include "config/config.h"
#include "loop/run_folder/trained_model.h"

namespace longshot::loop {

// Creates a model of the size in model.*, with the characters of model.alphabet_file as tokens.
// score_head: make it a reward model. invalid_argument if the sizes do not fit together.
Result<LoadedModel> new_model(const config::OfflineConfig& config, bool score_head);

}  // namespace longshot::loop
