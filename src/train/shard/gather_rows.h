#pragma once
// Values of rows, such as log-probabilities, that each process of a gang has computed for the rows
// of its lanes.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/status.h"
#include "train/shard/lanes.h"

namespace longshot::train {

// parts[lane] are the rows of each lane, and values_of(row) the number of values of a row.
// Completes values[row] of all these rows with those of the other processes. Errors: those of
// Gang::gather().
Status gather_rows(const Lanes& lanes, const std::vector<std::vector<size_t>>& parts,
                   const std::function<int64_t(size_t)>& values_of,
                   std::vector<std::vector<double>>& values);

}  // namespace longshot::train
