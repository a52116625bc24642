#include "train/shard/gradient_tree.h"

#include <ATen/core/grad_mode.h>

#include <utility>

#include "base/check.h"

namespace longshot::train {

void GradientTree::take_lane(model::Weights& weights) {
  Node node;
  for (const auto& [name, tensor] : weights.tensors()) node.gradients.push_back(tensor.grad());
  weights.zero_grad();
  while (!open_.empty() && open_.back().lanes == node.lanes) {
    add(open_.back(), std::move(node));
    node = std::move(open_.back());
    open_.pop_back();
  }
  open_.push_back(std::move(node));
}

void GradientTree::add(Node& sum, Node&& later) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < sum.gradients.size(); ++i) {
    at::Tensor &left = sum.gradients[i], &right = later.gradients[i];
    if (!left.defined()) {
      left = std::move(right);
    } else if (right.defined()) {
      left.add_(right);
      right = at::Tensor();
    }
  }
  sum.lanes += later.lanes;
}

void GradientTree::finish(model::Weights& weights) {
  LS_CHECK(open_.size() == 1, "the number of lanes is a power of two");
  for (size_t i = 0; i < weights.tensors().size(); ++i)
    weights.tensors()[i].tensor.mutable_grad() = std::move(open_.front().gradients[i]);
  open_.clear();
}

}  // namespace longshot::train
