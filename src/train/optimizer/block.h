#pragma once
// Torch-free.

#include <cstdint>

namespace longshot::train {

// Elements per parallel task of the optimizer. Sums over blocks are added in order, so results do
// not depend on the number of threads.
constexpr int64_t kOptimizerBlock = int64_t{1} << 18;

}  // namespace longshot::train
