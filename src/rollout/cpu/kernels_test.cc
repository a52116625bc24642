#include "rollout/cpu/kernels.h"

#include <gtest/gtest.h>

#include <map>

#include "rollout/cpu/kernels_testing.h"

namespace longshot::rollout::cpu {
namespace {

INSTANTIATE_TEST_SUITE_P(EveryTarget, Kernels, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

TEST_P(Kernels, GemmMatchesTheReference) {
  double worst = 0;
  for (const auto& [m, n, k] :
       {std::array{1, 32, 64}, {13, 96, 577}, {7, 33, 5}, {64, 67, 192}, {5, 20, 1700}, {25, 1, 1}}) {
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
  gate[0] = -100, gate[1] = 100, gate[2] = 0;
  std::vector<float> out(gate.size()), expected;
  for (size_t i = 0; i < gate.size(); ++i) expected.push_back(reference::silu_mul(gate[i], up[i]));
  silu_mul(gate.data(), up.data(), static_cast<int>(gate.size()), out.data());
  const double difference = largest_difference(out, expected);
  report("silu_mul", difference);
  EXPECT_LT(difference, 1e-5);
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

TEST_P(Kernels, AttentionMatchesTheReference) {
  double worst = 0;
  for (const auto& [head_dim, group, length] :
       {std::array{64, 3, 100}, {12, 1, 1}, {128, 4, 33}, {32, 7, 16}, {96, 2, 47}}) {
    AttentionCase c(head_dim, length);
    const auto q = random_floats(length * group * head_dim, 11);
    const auto out = c.run(q, length, 0, group);
    for (int i = 0; i < length * group; ++i) {
      const auto expected = reference::attend(std::span(q).subspan(i * head_dim, head_dim), c.keys,
                                              c.values, i / group + 1);
      worst = std::max(
          worst, largest_difference(std::span(out).subspan(i * head_dim, head_dim), expected));
    }
  }
  report("attend", worst);
  EXPECT_LT(worst, 2e-6);
}

class KvFormats : public ::testing::TestWithParam<NumberFormat> {};
INSTANTIATE_TEST_SUITE_P(Each, KvFormats,
                         ::testing::Values(NumberFormat::f32, NumberFormat::bf16,
                                           NumberFormat::int8),
                         [](const auto& info) { return number_format_name(info.param); });

TEST_P(KvFormats, AttentionRowsDoNotDependOnTheChunk) {
  const int head_dim = 64, group = 3, length = 70;
  AttentionCase c(head_dim, length, GetParam());
  const auto q = random_floats(length * group * head_dim, 12);
  const auto all = c.run(q, length, 0, group);
  const int width = group * head_dim;
  for (int rows = 1; rows < 20; ++rows) {
    for (int first = 0; first + rows <= length; first += rows) {
      const auto part =
          c.run(std::span(q).subspan(first * width, rows * width), rows, first, group);
      ASSERT_EQ(0,
                std::memcmp(part.data(), all.data() + first * width, part.size() * sizeof(float)));
      if (first < kPage) continue;
      const auto shared =
          c.run(std::span(q).subspan(first * width, rows * width), rows, first, group,
                first / kPage);
      ASSERT_EQ(0, std::memcmp(part.data(), shared.data(), part.size() * sizeof(float)));
    }
  }
}

// The checksum of one result per target; targets with a fused multiply-add must agree on every bit.
TEST(KernelTargets, AgreeBitForBit) {
  std::map<int64_t, std::vector<float>> results;
  for (const int64_t target : targets()) {
    if (target == HWY_SCALAR || target == HWY_AVX3_DL) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    AttentionCase c(48, 40);
    auto out = c.run(random_floats(40 * 2 * 48, 13), 40, 0, 2);
    std::vector<float> act(out.size()), normed(out.size());
    silu_mul(out.data(), out.data(), static_cast<int>(out.size()), act.data());
    rms_norm(act.data(), out.data(), static_cast<int>(out.size()), 1e-6f, normed.data());
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

TEST(KvBlocks, TakeMemoryWhenFirstUsedAndCopyAllLayers) {
  KvBlocks blocks({2, 1, 8}, 5);
  EXPECT_EQ(blocks.bytes(), 0);
  std::byte* first = blocks.at(3);
  const size_t last = blocks.shape().block_bytes() - 1;
  first[0] = std::byte{42};
  first[last] = std::byte{43};
  blocks.copy(3, 1);
  EXPECT_EQ(blocks.at(1)[0], std::byte{42});
  EXPECT_EQ(blocks.at(1)[last], std::byte{43});
  EXPECT_EQ(blocks.at(3), first);
  // Both come out of one slab.
  EXPECT_GE(blocks.bytes(), 2 * static_cast<int64_t>(last + 1));
  const int64_t slab = blocks.bytes();
  (void)blocks.at(0);
  EXPECT_EQ(blocks.bytes(), slab);
}

TEST(KvBlocks, BlocksLargerThanASlabGetOneEach) {
  KvBlocks blocks({64, 8, 128}, 3);
  const auto size = static_cast<int64_t>(blocks.shape().block_bytes());
  EXPECT_GE(size, int64_t{8} << 20);
  EXPECT_NE(blocks.at(0), blocks.at(2));
  EXPECT_EQ(blocks.bytes(), 2 * size);
}

}  // namespace
}  // namespace longshot::rollout::cpu
