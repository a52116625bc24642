#pragma once
// From the steps that a reward names in the text to the tokens of the response. Thread-safe.

#include <span>
#include <vector>

#include "data/step_value.h"

namespace longshot::train {

// The step of each token: the one in which the token's text begins. steps.size() if it begins after
// the last step, as an end-of-sequence token does. `begins` is Tokenizer::text_begins().
std::vector<size_t> token_steps(std::span<const data::StepValue> steps,
                                std::span<const int> begins);

}  // namespace longshot::train
