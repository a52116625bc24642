#pragma once
// The rank and the scale s of a low-rank adapter. Torch-free.

#include <cmath>

namespace longshot::model {

struct LoraOptions {
  int rank = 0;         // 0: no adapter
  double alpha = 16;    // s = alpha / rank
  bool rslora = false;  // s = alpha / sqrt(rank) (2312.03732)

  double scale() const {  // s; 1 without an adapter
    if (rank == 0) return 1;
    return rslora ? alpha / std::sqrt(static_cast<double>(rank)) : alpha / rank;
  }
  bool operator==(const LoraOptions&) const = default;
};

}  // namespace longshot::model
