// The schedule of a phase that begins in the middle of a run.
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>

#include "train/optimizer/optimizer.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

std::vector<at::Tensor> copies(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> out;
  for (const at::Tensor& tensor : tensors) out.push_back(tensor.clone());
  return out;
}

// The moments continue, the learning rate begins anew.
TEST(AdamW, ANewScheduleBeginsWithItsWarmup) {
  auto weights = tiny_weights();
  OptimizerOptions o = optimizer(1.0);
  o.schedule = Schedule::linear;
  o.min_lr_ratio = 0;
  AdamW adam(weights, o, 3);
  std::vector<double> rates;
  const auto steps = [&](int count) {
    for (int i = 0; i < count; ++i) {
      for (auto& named : weights.tensors())
        named.tensor.mutable_grad() = at::ones_like(named.tensor).detach();
      const auto done = adam.step(weights);
      ASSERT_TRUE(done.ok()) << done.status().message();
      rates.push_back(done->lr);
    }
  };
  steps(2);
  const auto before = copies(adam.moment_tensors());
  o.lr = 0.5;
  o.warmup_steps = 2;
  adam.begin_schedule(o, adam.schedule_steps(), 5);
  const auto after = adam.moment_tensors();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(at::equal(before[i], after[i]));
  steps(5);
  EXPECT_EQ(rates, (std::vector<double>{1.0, 0.5, 0.25, 0.5, 0.5, 0.25, 0.0}));
}

}  // namespace
}  // namespace longshot::train
