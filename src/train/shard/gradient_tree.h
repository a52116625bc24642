#pragma once
// The sum of the gradients of lanes 0, 1, 2, ... as a binary tree: ((0 + 1) + (2 + 3)) + ... The
// gradients of a subtree are added as soon as both halves exist, so n lanes need at most
// 1 + log2(n) gradients at a time. Not thread-safe.

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/weights.h"

namespace longshot::train {

class GradientTree {
 public:
  // Takes the gradients out of `weights` as those of the next lane. Weights without gradients
  // contribute nothing.
  void take_lane(model::Weights& weights);
  // Moves the sum into the gradients of `weights`, which have none if no lane had any. The number
  // of lanes must be a power of two.
  void finish(model::Weights& weights);

 private:
  struct Node {
    int lanes = 1;
    std::vector<at::Tensor> gradients;  // [weights], undefined: no lane below had one
  };
  static void add(Node& sum, Node&& later);

  std::vector<Node> open_;  // subtrees that wait for their right neighbour
};

}  // namespace longshot::train
