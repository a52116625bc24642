#include <gtest/gtest.h>

#include <map>

#include "kernels/rows/row_ops.h"
#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

INSTANTIATE_TEST_SUITE_P(EveryTarget, Kernels, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

TEST_P(Kernels, GemmMatchesTheReference) {
  double worst = 0;
  for (const auto& [m, n, k] : {std::array{1, 32, 64},
                                {13, 96, 577},
                                {7, 33, 5},
                                {64, 67, 192},
                                {5, 20, 1700},
                                {25, 1, 1}}) {
    const auto x = random_floats(m * k, 1), w = random_floats(n * k, 2, 1 / std::sqrt(k));
    worst = std::max(
        worst, largest_difference(packed_gemm(x, w, m, n, k), reference::gemm(x, w, m, n, k)));
  }
  report("gemm", worst);
  EXPECT_LT(worst, 1e-5);
}

TEST_P(Kernels, GemmAddsBiasAndResidual) {
  const int m = 5, n = 40, k = 16;
  const auto x = random_floats(m * k, 1), w = random_floats(n * k, 2), bias = random_floats(n, 3);
  auto expected = reference::gemm(x, w, m, n, k);
  for (int i = 0; i < m * n; ++i) expected[i] += bias[i % n] + 7.0f;
  const double difference =
      largest_difference(packed_gemm(x, w, m, n, k, Store::add, bias), expected);
  report("gemm with bias and residual", difference);
  EXPECT_LT(difference, 1e-5);
}

TEST_P(Kernels, GemmRowsDoNotDependOnTheBatch) {
  const int n = 80, k = 150, rows = 64;
  const auto x = random_floats(rows * k, 1), w = random_floats(n * k, 2);
  const auto all = packed_gemm(x, w, rows, n, k);
  for (int m = 1; m <= 30; ++m) {
    for (const int first : {0, 1, rows - m}) {
      const auto part = packed_gemm(std::span(x).subspan(first * k, m * k), w, m, n, k);
      ASSERT_EQ(0, std::memcmp(part.data(), all.data() + first * n, part.size() * sizeof(float)))
          << m;
    }
  }
}

TEST_P(Kernels, GemmHasTheSameBitsAsAChainOfFusedMultiplyAdds) {
  if (!fused()) return;  // the scalar target rounds products; its accuracy is tested above
  const int m = 9, n = 45, k = 77;
  const auto x = random_floats(m * k, 1), w = random_floats(n * k, 2),
             y = packed_gemm(x, w, m, n, k);
  for (int r = 0; r < m; ++r) {
    for (int c = 0; c < n; ++c) {
      float sum = 0;
      for (int i = 0; i < k; ++i) sum = std::fma(x[r * k + i], w[c * k + i], sum);
      ASSERT_EQ(sum, y[r * n + c]);
    }
  }
}

TEST_P(Kernels, RmsNormMatchesTheReference) {
  double worst = 0;
  for (const int n : {1, 12, 16, 72, 576}) {
    auto x = random_floats(n, 4), weight = random_floats(n, 5);
    const auto expected = reference::rms_norm(x, weight, 1e-5);
    x.resize(round_up(n, kLane), 0.0f);
    weight.resize(x.size(), 0.0f);
    std::vector<float> out(x.size(), -1.0f);
    rms_norm(x.data(), weight.data(), n, 1e-5f, out.data());
    for (size_t i = n; i < out.size(); ++i) EXPECT_EQ(out[i], 0.0f);
    worst = std::max(worst, largest_difference(std::span(out).first(n), expected));
  }
  report("rms_norm", worst);
  EXPECT_LT(worst, 2e-6);
}

TEST_P(Kernels, SiluMulMatchesTheReference) {
  auto gate = random_floats(1536, 6, 4.0), up = random_floats(1536, 7);
  gate[0] = -100, gate[1] = 100, gate[2] = 0, gate[3] = -300, gate[4] = -1000;
  std::vector<float> out(gate.size()), expected;
  for (size_t i = 0; i < gate.size(); ++i) expected.push_back(reference::silu_mul(gate[i], up[i]));
  gate_mul(Gate::silu, gate.data(), up.data(), static_cast<int>(gate.size()), out.data());
  const double difference = largest_difference(out, expected);
  report("silu_mul", difference);
  EXPECT_LT(difference, 1e-5);
}

TEST_P(Kernels, GeluMulMatchesTheReference) {
  auto gate = random_floats(512, 6, 4.0), up = random_floats(512, 7);
  gate[0] = -100, gate[1] = 100, gate[2] = 0, gate[3] = -300, gate[4] = -1000;
  std::vector<float> out(gate.size()), expected, panels, act(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) expected.push_back(reference::gelu_mul(gate[i], up[i]));
  gate_mul(Gate::gelu_tanh, gate.data(), up.data(), static_cast<int>(gate.size()), out.data());
  const double difference = largest_difference(out, expected);
  report("gelu_mul", difference);
  EXPECT_LT(difference, 1e-5);
  for (size_t i = 0; i < gate.size(); i += kLane) {
    panels.insert(panels.end(), gate.begin() + i, gate.begin() + i + kLane);
    panels.insert(panels.end(), up.begin() + i, up.begin() + i + kLane);
  }
  gate_mul_panels(Gate::gelu_tanh, panels.data(), static_cast<int>(gate.size() / kLane),
                  act.data());
  EXPECT_EQ(act, out);
}

TEST_P(Kernels, SoftCapMatchesTheReferenceForAnyLength) {
  double worst = 0;
  for (const int n : {1, 7, 16, 37, 100}) {
    auto x = random_floats(n + 1, 9, 20.0);
    const auto before = x;
    soft_cap(x.data(), n, 0.5f, 3.0f);
    for (int i = 0; i < n; ++i)
      worst = std::max(worst, std::abs(x[i] - 3 * std::tanh(before[i] * 0.5 / 3)));
    EXPECT_EQ(x[n], before[n]);
  }
  report("soft_cap", worst);
  EXPECT_LT(worst, 2e-6);
}

// By hand: a quarter turn of (1, 2), none of (3, 4).
TEST_P(Kernels, RopePairsRotatesNeighbours) {
  std::vector<float> head = {1, 2, 3, 4};
  const std::vector<float> table = {0, 1, 1, 0};
  rope_pairs(head.data(), table.data(), 4);
  EXPECT_EQ(head, (std::vector<float>{-2, 1, 3, 4}));
}

TEST_P(Kernels, RopeMatchesTheReference) {
  double worst = 0;
  for (const int head_dim : {2, 12, 32, 64, 128}) {
    auto head = random_floats(head_dim, 8);
    std::vector<float> table;
    for (int i = 0; i < head_dim / 2; ++i) table.push_back(static_cast<float>(std::cos(i * 0.7)));
    for (int i = 0; i < head_dim / 2; ++i) table.push_back(static_cast<float>(std::sin(i * 0.7)));
    const auto cos = std::span(table).first(head_dim / 2),
               sin = std::span(table).subspan(head_dim / 2);
    const auto expected = reference::rope(head, cos, sin);
    rope(head.data(), table.data(), head_dim);
    worst = std::max(worst, largest_difference(head, expected));
  }
  report("rope", worst);
  EXPECT_LT(worst, 1e-6);
}

// One result per target; targets with a fused multiply-add must agree on every bit.
TEST(KernelTargets, AgreeBitForBit) {
  std::map<int64_t, std::vector<float>> results;
  for (const int64_t target : targets()) {
    if (target == HWY_SCALAR || target == HWY_AVX3_DL) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    const auto x = random_floats(40 * 96, 13), w = random_floats(96 * 96, 14);
    const auto y = packed_gemm(x, w, 40, 96, 96);
    std::vector<float> act(y.size()), normed(y.size());
    gate_mul(Gate::silu, y.data(), y.data(), static_cast<int>(y.size()), act.data());
    rms_norm(act.data(), y.data(), static_cast<int>(y.size()), 1e-6f, normed.data());
    results[target] = normed;
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  for (const auto& [target, result] : results) {
    EXPECT_EQ(0, std::memcmp(result.data(), results.begin()->second.data(),
                             result.size() * sizeof(float)))
        << hwy::TargetName(target);
  }
}

}  // namespace
}  // namespace longshot::kernels
