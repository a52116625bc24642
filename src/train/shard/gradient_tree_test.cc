#include "train/shard/gradient_tree.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "train/testing.h"

namespace longshot::train {
namespace {

void set_gradients(model::Weights& weights, float value) {
  for (auto& [name, tensor] : weights.tensors())
    tensor.mutable_grad() = at::full_like(tensor.detach(), value);
}

float first_gradient(const model::Weights& weights) {
  const at::Tensor& grad = weights.tensors().front().tensor.grad();
  return *grad.const_data_ptr<float>();
}

TEST(GradientTree, AddsNeighboursFirst) {
  model::Weights weights = tiny_weights();
  GradientTree tree;
  // In the order of a tree 1 + 1e8 rounds to 1e8 once in each half; in sequence it would not.
  const float values[] = {1e8F, 1.0F, -1e8F, 1.0F};
  for (const float value : values) {
    set_gradients(weights, value);
    tree.take_lane(weights);
    EXPECT_FALSE(weights.tensors().front().tensor.grad().defined());
  }
  tree.finish(weights);
  EXPECT_EQ(first_gradient(weights), (values[0] + values[1]) + (values[2] + values[3]));
  EXPECT_NE(first_gradient(weights), ((values[0] + values[1]) + values[2]) + values[3]);
}

TEST(GradientTree, OneLaneIsReturnedUnchanged) {
  model::Weights weights = tiny_weights();
  set_gradients(weights, 0.5F);
  const void* before = weights.tensors().front().tensor.grad().const_data_ptr();
  GradientTree tree;
  tree.take_lane(weights);
  tree.finish(weights);
  EXPECT_EQ(weights.tensors().front().tensor.grad().const_data_ptr(), before);
}

TEST(GradientTree, LanesWithoutAGradientContributeNothing) {
  model::Weights weights = tiny_weights();
  GradientTree tree;
  for (const float value : {0.0F, -0.0F, 0.0F, 0.0F}) {
    if (std::signbit(value)) set_gradients(weights, value);
    tree.take_lane(weights);
  }
  tree.finish(weights);
  EXPECT_TRUE(std::signbit(first_gradient(weights)));  // -0 + 0 would be 0
  for (int lane = 0; lane < 2; ++lane) {
    weights.zero_grad();
    tree.take_lane(weights);
  }
  tree.finish(weights);
  EXPECT_FALSE(weights.tensors().front().tensor.grad().defined());
}

}  // namespace
}  // namespace longshot::train
