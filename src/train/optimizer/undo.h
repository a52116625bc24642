#pragma once
// Copy of the state that a policy update changes. An update that fails between two of its optimizer
// steps can be taken back with it, so the iterations before it can still be saved. Not thread-safe.

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/weights.h"
#include "train/optimizer/optimizer.h"

namespace longshot::train {

class Undo {
 public:
  // Copies the trained weights and, if `moments`, the optimizer's moments to host memory. Keeps
  // nothing if a new copy would need more than a quarter of the free memory.
  void take(const model::Weights& weights, const AdamW& optimizer, bool moments);
  // Restores the state copied by take(); does nothing without a copy. Moments that were not copied
  // become 0.
  void restore(model::Weights& weights, AdamW& optimizer) const;

  void forget() { copies_.clear(); }  // frees the copy

 private:
  bool fits(const std::vector<at::Tensor>& sources) const;

  std::vector<at::Tensor> copies_;  // empty: none was taken
  AdamW::Counters counters_;
  bool moments_ = false;
};

}  // namespace longshot::train
