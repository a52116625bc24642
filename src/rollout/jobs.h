#pragma once
// Turns draws into unstarted samples, the form in which the engine accepts work.

#include <span>
#include <string>
#include <vector>

#include "data/types.h"

namespace longshot::rollout {

// `n` samples of each draw, sample index 0..n-1, grouped by draw.
std::vector<data::Sample> make_jobs(const std::vector<data::Draw>& draws, int n);

// Returns a prompt id made of the prompt's tokens. Random numbers keyed by it do not depend on the
// other prompts, and equal prompts get equal answers.
std::string content_id(std::span<const data::TokenId> prompt);

}  // namespace longshot::rollout
