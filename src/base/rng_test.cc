#include "base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace longshot {
namespace {

// Known-answer vectors published with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, MatchesPublishedVectors) {
  const std::array<uint32_t, 4> zero = philox4x32({0, 0, 0, 0}, {0, 0});
  EXPECT_EQ(zero, (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t f = 0xffffffff;
  const std::array<uint32_t, 4> ones = philox4x32({f, f, f, f}, {f, f});
  EXPECT_EQ(ones, (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(SamplingUniform, DependsOnEveryKeyPartAndOnNothingElse) {
  const double u = sampling_uniform(1, 2, 3, 4);
  EXPECT_EQ(u, sampling_uniform(1, 2, 3, 4));
  EXPECT_NE(u, sampling_uniform(9, 2, 3, 4));
  EXPECT_NE(u, sampling_uniform(1, 9, 3, 4));
  EXPECT_NE(u, sampling_uniform(1, 2, 9, 4));
  EXPECT_NE(u, sampling_uniform(1, 2, 3, 9));
}

TEST(SamplingUniform, IsUniform) {
  double mean = 0, square = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double u = sampling_uniform(7, 11, 0, i);
    ASSERT_GT(u, 0.0);
    ASSERT_LT(u, 1.0);
    mean += u / n;
    square += u * u / n;
  }
  EXPECT_NEAR(mean, 0.5, 0.005);
  EXPECT_NEAR(square - mean * mean, 1.0 / 12, 0.002);
}

TEST(CounterRng, ContinuesFromASavedCounter) {
  CounterRng a(42);
  for (int i = 0; i < 10; ++i) a.next_u64();
  CounterRng b(a.key(), a.counter());
  EXPECT_EQ(a.next_u64(), b.next_u64());
}

TEST(CounterRng, ShuffleIsAPermutation) {
  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  auto shuffled = items;
  CounterRng(5).shuffle(shuffled);
  EXPECT_NE(items, shuffled);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(items, shuffled);
}

TEST(CounterRng, NextBelowCoversTheRange) {
  CounterRng rng(3);
  std::array<int, 7> counts{};
  for (int i = 0; i < 7000; ++i) ++counts[rng.next_below(7)];
  for (int c : counts) EXPECT_NEAR(c, 1000, 150);
}

}  // namespace
}  // namespace longshot
