#pragma once
// A model that only computes, beside one that is trained: the fixed reference of a KL penalty.

#include <memory>

#include "model/compute.h"
#include "model/weights.h"

namespace longshot::train {

// Not thread-safe. Stays where it was created, because its compute points to its weights.
class FrozenModel {
 public:
  FrozenModel(model::Weights weights, const model::ComputeOptions& options);

  model::Compute& compute() { return *compute_; }
  // Its activations, and its weights except those that it shares with `other`.
  double bytes_beside(const model::Weights& other) const;

 private:
  model::Weights weights_;
  std::unique_ptr<model::Compute> compute_;
};

}  // namespace longshot::train
