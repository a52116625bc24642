#pragma once
// The rows of an optimizer step are cut into lanes. The gradient of a lane is summed in the order
// of its rows, and the lanes are added in a fixed binary tree. The sum therefore does not depend on
// how many processes compute the lanes.

#include <bit>
#include <memory>
#include <utility>

#include "train/shard/gang.h"

namespace longshot::train {

struct Lanes {
  int count = 1;  // a power of two, and a multiple of gang->size()
  std::shared_ptr<Gang> gang = alone();

  // This process computes the lanes from first_own() to first_own() + own() - 1.
  int own() const { return count / gang->size(); }
  int first_own() const { return gang->rank() * own(); }
  // Gradients of the whole model that this process has in memory at the same time.
  int gradients() const { return std::bit_width(static_cast<unsigned>(own())); }
};

}  // namespace longshot::train
