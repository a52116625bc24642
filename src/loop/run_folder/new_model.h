#pragma once
// A model made from nothing: random weights, and a vocabulary of the characters of a file.

#include "config/config.h"
#include "loop/run_folder/trained_model.h"

namespace longshot::loop {

// Of the size model.* says, with the tokens of model.alphabet_file. score_head: a reward model.
Result<LoadedModel> new_model(const config::SftConfig& config, bool score_head);

}  // namespace longshot::loop
