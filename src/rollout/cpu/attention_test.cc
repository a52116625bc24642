#include "rollout/cpu/attention.h"

#include <gtest/gtest.h>

#include <map>

#include "rollout/cpu/testing.h"

namespace longshot::rollout::cpu {
namespace {

namespace reference = kernels::reference;

class AttentionKernels : public kernels::Kernels {};
INSTANTIATE_TEST_SUITE_P(EveryTarget, AttentionKernels, ::testing::ValuesIn(kernels::targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

TEST_P(AttentionKernels, AttentionMatchesTheReference) {
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

TEST_P(AttentionKernels, AWindowLeavesTheRestOut) {
  double worst = 0;
  for (const auto& [head_dim, group, length, window] : {std::array{64, 3, 100, 1},
                                                        {12, 1, 33, 16},
                                                        {128, 4, 65, 40},
                                                        {32, 7, 50, 17},
                                                        {96, 2, 47, 47}}) {
    AttentionCase c(head_dim, length);
    const auto q = random_floats(length * group * head_dim, 11);
    const auto out = c.run(q, length, 0, group, 1000, window);
    for (int i = 0; i < length * group; ++i) {
      const int end = i / group + 1, first = std::max(0, end - window);
      const auto expected = reference::attend(
          std::span(q).subspan(i * head_dim, head_dim), std::span(c.keys).subspan(first * head_dim),
          std::span(c.values).subspan(first * head_dim), end - first);
      worst = std::max(
          worst, largest_difference(std::span(out).subspan(i * head_dim, head_dim), expected));
    }
  }
  report("attend within a window", worst);
  EXPECT_LT(worst, 2e-6);
}

TEST_P(AttentionKernels, ScaledAndCappedScoresMatchTheReference) {
  double worst = 0;
  for (const auto& [head_dim, group, length] : {std::array{64, 3, 100}, {12, 1, 1}, {32, 7, 33}}) {
    AttentionCase c(head_dim, length);
    c.scale = 0.3f;
    c.cap = 1.25f;
    const auto q = random_floats(length * group * head_dim, 11);
    const auto out = c.run(q, length, 0, group);
    for (int i = 0; i < length * group; ++i) {
      const auto expected = reference::attend(std::span(q).subspan(i * head_dim, head_dim), c.keys,
                                              c.values, i / group + 1, c.scale, c.cap);
      worst = std::max(
          worst, largest_difference(std::span(out).subspan(i * head_dim, head_dim), expected));
    }
  }
  report("attend with a scale and a cap", worst);
  EXPECT_LT(worst, 3e-6);
}

TEST_P(AttentionKernels, PagesBeforeTheWindowAreNotRead) {
  AttentionCase c(32, 100);
  const auto q = random_floats(4 * 2 * 32, 11);
  const auto before = c.run(q, 4, 96, 2, 1000, 30), own = c.run(q, 4, 96, 2, 0, 30);
  EXPECT_EQ(before, own);
  for (int page = 0; page < 4; ++page) {  // the first row sees from position 67 on
    std::fill_n(reinterpret_cast<float*>(c.blocks.at(page)),
                c.blocks.shape().block_bytes() / sizeof(float), std::nanf(""));
  }
  EXPECT_EQ(before, c.run(q, 4, 96, 2, 1000, 30));
  EXPECT_EQ(before, c.run(q, 4, 96, 2, 0, 30));
}

class KvFormats : public ::testing::TestWithParam<NumberFormat> {};
INSTANTIATE_TEST_SUITE_P(Each, KvFormats,
                         ::testing::Values(NumberFormat::f32, NumberFormat::bf16,
                                           NumberFormat::int8),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(KvFormats, AttentionRowsDoNotDependOnTheChunk) {
  const int head_dim = 64, group = 3, length = 70;
  AttentionCase c(head_dim, length, GetParam());
  const auto q = random_floats(length * group * head_dim, 12);
  const int width = group * head_dim;
  for (const int window : {1000, 37, 16, 1}) {
    const auto all = c.run(q, length, 0, group, 1000, window);
    for (int rows = 1; rows < 20; ++rows) {
      for (int first = 0; first + rows <= length; first += rows) {
        const auto queries = std::span(q).subspan(first * width, rows * width);
        const auto part = c.run(queries, rows, first, group, 1000, window);
        ASSERT_EQ(
            0, std::memcmp(part.data(), all.data() + first * width, part.size() * sizeof(float)));
        if (first < kPage) continue;
        const auto shared = c.run(queries, rows, first, group, first / kPage, window);
        ASSERT_EQ(0, std::memcmp(part.data(), shared.data(), part.size() * sizeof(float)));
      }
    }
  }
}

// The values that the cache represents: each rounded to its format.
std::vector<float> rounded(const std::vector<float>& in, int head_dim, NumberFormat format) {
  std::vector<float> out = in;
  for (size_t begin = 0; begin < in.size(); begin += head_dim) {
    float largest = 0;
    for (int e = 0; e < head_dim; ++e) largest = std::max(largest, std::abs(in[begin + e]));
    for (int e = 0; e < head_dim; ++e) {
      float& v = out[begin + e];
      v = format == NumberFormat::bf16
              ? kernels::from_bf16(kernels::to_bf16(v))
              : std::nearbyint(v * (127.0f / largest)) * (largest / 127.0f);
    }
  }
  return out;
}

TEST_P(AttentionKernels, AttentionOverASmallerCacheMatchesTheReferenceOnItsValues) {
  for (const NumberFormat format : {NumberFormat::bf16, NumberFormat::int8}) {
    double worst = 0;
    for (const auto& [head_dim, group, length] :
         {std::array{64, 3, 100}, {12, 1, 1}, {128, 4, 33}, {2, 7, 16}, {96, 2, 47}}) {
      AttentionCase c(head_dim, length, format);
      const auto keys = rounded(c.keys, head_dim, format),
                 values = rounded(c.values, head_dim, format);
      const auto q = random_floats(length * group * head_dim, 11);
      const auto out = c.run(q, length, 0, group);
      for (int i = 0; i < length * group; ++i) {
        const auto expected = reference::attend(std::span(q).subspan(i * head_dim, head_dim), keys,
                                                values, i / group + 1);
        worst = std::max(
            worst, largest_difference(std::span(out).subspan(i * head_dim, head_dim), expected));
      }
    }
    report(format == NumberFormat::bf16 ? "attend, bf16 cache" : "attend, int8 cache", worst);
    EXPECT_LT(worst, 2e-6);
  }
}

// One result per target; attention on targets with a fused multiply-add must agree on every bit.
TEST(AttentionTargets, AgreeBitForBit) {
  std::map<int64_t, std::vector<float>> results;
  for (const int64_t target : kernels::targets()) {
    if (target == HWY_SCALAR || target == HWY_AVX3_DL) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    AttentionCase c(48, 40);
    const auto q = random_floats(40 * 2 * 48, 13);
    results[target] = c.run(q, 40, 0, 2);
    const auto window = c.run(q, 40, 0, 2, 1000, 19);
    results[target].insert(results[target].end(), window.begin(), window.end());
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
