#pragma once
// Which rows of an optimizer step belong to which lane (train/shard/lanes.h). Torch-free,
// stateless.

#include <cstddef>
#include <vector>

#include "train/pass/micro_batches.h"

namespace longshot::train {

// Cuts the rows into `lanes` parts with similar numbers of tokens; a part may be empty. The result
// depends on the rows alone. Each part contains indices of rows in increasing order, and one lane
// contains all of them. With `share_prompts`, rows with the same prompt stay together up to the
// tokens of a fair share.
std::vector<std::vector<size_t>> cut_into_lanes(const std::vector<PassRow>& rows, int lanes,
                                                bool share_prompts);

}  // namespace longshot::train
