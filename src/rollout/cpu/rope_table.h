#pragma once
// The rotations of RoPE by position, as kernels/rows/row_ops.h reads them. at() is thread-safe;
// reset() and grow() are not.

#include <cstddef>
#include <vector>

#include "model/format/config.h"
#include "model/format/rope.h"

namespace longshot::rollout::cpu {

// Cosines and sines of every position, computed in double.
class RopeTable {
 public:
  void reset(const model::ModelConfig& config);
  void grow(int positions);
  // `local`: of layers with a window, in a model where these have a theta of their own.
  const float* at(int position, bool local = false) const {
    return (local ? local_values_ : values_).data() + static_cast<size_t>(position) * stride_;
  }

 private:
  void fill(const model::Rope& rope, size_t have, size_t count, std::vector<float>& values) const;

  model::Rope rope_, local_rope_;             // the latter without frequencies: none
  std::vector<float> values_, local_values_;  // [positions][cosines, sines]
  size_t stride_ = 1;
};

}  // namespace longshot::rollout::cpu
