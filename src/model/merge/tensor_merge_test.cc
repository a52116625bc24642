#include "model/merge/tensor_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "model/merge/random_mask.h"

namespace longshot::model {
namespace {

using ::testing::HasSubstr;
using Values = std::vector<float>;

ReadBlock reading(const Values& values) {
  return [&values](int64_t begin, std::span<float> out) {
    std::copy_n(values.begin() + begin, out.size(), out.begin());
    return ok_status();
  };
}

Values run(TensorMerge merge, size_t elements) {
  merge.name = "w";
  merge.elements = static_cast<int64_t>(elements);
  Values out;
  const Status status = merge_tensor(merge, [&](std::span<const float> values) {
    out.insert(out.end(), values.begin(), values.end());
    return ok_status();
  });
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

void expect_near(const Values& got, const Values& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-6) << i;
}

TEST(TensorMergeTest, LinearIsAWeightedMeanOrSum) {
  const Values a = {1, 2, 3}, b = {5, 0, -3};
  TensorMerge merge{.method = MergeMethod::linear,
                    .inputs = {{reading(a), 3}, {reading(b), 1}},
                    .normalize = true};
  expect_near(run(merge, 3), {2, 1.5, 1.5});
  merge.normalize = false;
  expect_near(run(merge, 3), {8, 6, 6});
}

TEST(TensorMergeTest, WeightsWithoutASumAreAnError) {
  const Values a = {1};
  TensorMerge merge{.name = "w",
                    .elements = 1,
                    .method = MergeMethod::linear,
                    .inputs = {{reading(a), 1}, {reading(a), -1}},
                    .normalize = true};
  const Status status = merge_tensor(merge, [](std::span<const float>) { return ok_status(); });
  EXPECT_THAT(status.message(), HasSubstr("the sum 0"));
}

TEST(TensorMergeTest, SlerpTurnsAtConstantSpeed) {
  const Values a = {1, 0}, b = {0, 1};
  TensorMerge merge{.method = MergeMethod::slerp, .base = reading(a), .inputs = {{reading(b)}}};
  for (const double t : {0.0, 0.25, 0.5, 1.0}) {
    merge.t = t;
    const double angle = t * M_PI / 2;
    expect_near(run(merge, 2),
                {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
  }
}

TEST(TensorMergeTest, SlerpOfParallelTensorsIsLinear) {
  const Values a = {1, 1}, b = {3, 3.01f}, zero = {0, 0};
  TensorMerge merge{.method = MergeMethod::slerp, .base = reading(a), .inputs = {{reading(b)}}};
  merge.t = 0.5;
  expect_near(run(merge, 2), {2, 2.005f});
  const Values opposite = {-1, -1};
  merge.inputs = {{reading(opposite)}};
  expect_near(run(merge, 2), {0, 0});
  merge.base = reading(zero);  // its angle to anything is taken to be 90 degrees
  const auto share = static_cast<float>(-std::sin(M_PI / 4));
  expect_near(run(merge, 2), {share, share});
}

TEST(TensorMergeTest, TaskArithmeticAddsDifferences) {
  const Values base = {1, 1}, a = {2, 1}, b = {1, 4};
  TensorMerge merge{.method = MergeMethod::task_arithmetic,
                    .base = reading(base),
                    .inputs = {{reading(a), 0.5}, {reading(b), 2}},
                    .lambda = 2};
  expect_near(run(merge, 2), {2, 13});
  merge.normalize = true;
  expect_near(run(merge, 2), {1 + 2 * 0.5f / 2.5f, 1 + 2 * 6 / 2.5f});
  merge.inputs[1].weight = -0.5;  // the weights cancel: not divided
  expect_near(run(merge, 2), {2, 1 - 3});
}

// Hand-worked: base 0, density 1/2 keeps two of four.
TEST(TensorMergeTest, TiesTrimsElectsAndAverages) {
  const Values base(4), a = {4, -1, 2, 0.5f}, b = {-3, -5, 0.1f, 0.2f};
  TensorMerge merge{.method = MergeMethod::ties,
                    .base = reading(base),
                    .inputs = {{reading(a), 1, 0.5}, {reading(b), 1, 0.5}},
                    .normalize = true};
  // trimmed: a = {4, 0, 2, 0}, b = {-3, -5, 0, 0}; signs of the sums: +, -, +, +
  expect_near(run(merge, 4), {4, -5, 2, 0});
  merge.normalize = false;
  merge.inputs[1].weight = 2;  // sums 4 - 6 < 0, -10, 2, 0
  expect_near(run(merge, 4), {-6, -10, 2, 0});
}

TEST(TensorMergeTest, RescalingKeepsTheSumOfMagnitudes) {
  const Values base(4), a = {4, -2, 1, -1};
  TensorMerge merge{.method = MergeMethod::ties,
                    .base = reading(base),
                    .inputs = {{reading(a), 1, 0.5}},
                    .rescale = true};
  expect_near(run(merge, 4), {4 * 8 / 6.0f, -2 * 8 / 6.0f, 0, 0});
}

TEST(TensorMergeTest, DensityZeroKeepsTheBase) {
  const Values base = {1, 2}, a = {5, 7};
  for (const MergeMethod method :
       {MergeMethod::ties, MergeMethod::dare_linear, MergeMethod::dare_ties}) {
    const TensorMerge merge{.method = method,
                            .base = reading(base),
                            .inputs = {{reading(a), 1, 0}},
                            .normalize = true,
                            .rescale = true};
    expect_near(run(merge, 2), {1, 2});
  }
}

// Larger than a block, against the formulas element by element.
TEST(TensorMergeTest, DareOverSeveralBlocks) {
  constexpr size_t kElements = (1 << 20) + 777;
  CounterRng rng(5);
  Values base, a, b;
  for (size_t i = 0; i < kElements; ++i) {
    base.push_back(static_cast<float>(rng.next_double()));
    a.push_back(static_cast<float>(rng.next_double()));
    b.push_back(static_cast<float>(rng.next_double()));
  }
  const TensorMerge merge{.method = MergeMethod::dare_linear,
                          .base = reading(base),
                          .inputs = {{reading(a), 0.5, 0.2, 1}, {reading(b), 0.25, 0.7, 3}},
                          .rescale = true,
                          .seed = 9};
  const Values got = run(merge, kElements);
  RandomMask first(9, "w", 1, 0.2), second(9, "w", 3, 0.7);
  double before[2] = {}, after[2] = {};
  for (size_t i = 0; i < kElements; ++i) {
    const double da = std::abs(a[i] - base[i]), db = std::abs(b[i] - base[i]);
    before[0] += da, before[1] += db;
    after[0] += first.keeps(i) ? da : 0, after[1] += second.keeps(i) ? db : 0;
  }
  EXPECT_NEAR(before[0] / after[0], 5, 0.05);  // the expected factor is 1 / density
  double worst = 0;
  for (size_t i = 0; i < kElements; ++i) {
    const double wanted = base[i] +
                          (first.keeps(i) ? 0.5 * (a[i] - base[i]) * before[0] / after[0] : 0) +
                          (second.keeps(i) ? 0.25 * (b[i] - base[i]) * before[1] / after[1] : 0);
    worst = std::max(worst, std::abs(got[i] - wanted));
  }
  EXPECT_LT(worst, 1e-6);
}

TEST(TensorMergeTest, AValueThatIsNotFiniteIsAnError) {
  const Values a = {1, NAN};
  TensorMerge merge{
      .name = "w", .elements = 2, .method = MergeMethod::linear, .inputs = {{reading(a)}}};
  const Status status = merge_tensor(merge, [](std::span<const float>) { return ok_status(); });
  EXPECT_THAT(status.message(), HasSubstr("tensor 'w': a value is not finite"));
}

}  // namespace
}  // namespace longshot::model
