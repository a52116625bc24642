#pragma once
// What a policy update changes, kept so that an update which fails between two of its optimizer
// steps can be taken back: the iterations before it can then still be saved. Not thread-safe.

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/weights.h"
#include "train/optimizer/optimizer.h"

namespace longshot::train {

class Undo {
 public:
  // Copies the trained weights and, if `moments`, the optimizer's moments to host memory. Keeps
  // nothing if the copy would take more than a quarter of the memory that is free.
  void take(const model::Weights& weights, const AdamW& optimizer, bool moments);
  // Puts back what take() has copied; without a copy nothing. Moments that were not copied become 0.
  void restore(model::Weights& weights, AdamW& optimizer) const;

 private:
  bool fits(const std::vector<at::Tensor>& sources) const;

  std::vector<at::Tensor> copies_;  // empty: none was taken
  AdamW::Counters counters_;
  bool moments_ = false;
};

}  // namespace longshot::train
