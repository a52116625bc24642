#pragma once
// Draws become unstarted samples, the form in which the engine takes work.

#include <vector>

#include "data/types.h"

namespace longshot::rollout {

// `n` samples of each draw, sample index 0..n-1, grouped by draw.
std::vector<data::Sample> make_jobs(const std::vector<data::Draw>& draws, int n);

}  // namespace longshot::rollout
