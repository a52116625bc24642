#include "model/merge/random_mask.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace longshot::model {
namespace {

TEST(RandomMaskTest, IsTheDocumentedFunction) {
  const double density = 0.3;
  RandomMask mask(7, "a.weight", 2, density);
  const uint64_t key = hash_combine(hash_combine(7, hash64("a.weight")), 2);
  for (const uint64_t i : {0ull, 1ull, 6ull, 1001ull, (1ull << 34) + 3}) {
    const uint64_t block = i / 4;
    const auto words =
        philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0},
                   {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
    EXPECT_EQ(mask.keeps(i), words[i % 4] < density * 4294967296.0) << i;
  }
}

TEST(RandomMaskTest, KeepsItsShareAndDependsOnEveryPart) {
  constexpr int kCount = 100000;
  const auto same = [](RandomMask a, RandomMask b) {
    int equal = 0;
    for (int i = 0; i < kCount; ++i) equal += a.keeps(i) == b.keeps(i);
    return static_cast<double>(equal) / kCount;
  };
  for (const double density : {0.1, 0.5, 0.9}) {
    RandomMask mask(1, "w", 0, density);
    int kept = 0;
    for (int i = 0; i < kCount; ++i) kept += mask.keeps(i);
    const double deviation = std::sqrt(density * (1 - density) / kCount);
    EXPECT_NEAR(static_cast<double>(kept) / kCount, density, 4 * deviation);
  }
  // Independent masks of density 1/2 agree in half of the places.
  const RandomMask one(1, "w", 0, 0.5);
  EXPECT_NEAR(same(one, RandomMask(2, "w", 0, 0.5)), 0.5, 0.01);
  EXPECT_NEAR(same(one, RandomMask(1, "v", 0, 0.5)), 0.5, 0.01);
  EXPECT_NEAR(same(one, RandomMask(1, "w", 1, 0.5)), 0.5, 0.01);
  EXPECT_EQ(same(one, RandomMask(1, "w", 0, 0.5)), 1);
}

TEST(RandomMaskTest, TheEndsOfTheRange) {
  RandomMask none(1, "w", 0, 0), all(1, "w", 0, 1);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(none.keeps(i));
    EXPECT_TRUE(all.keeps(i));
  }
}

}  // namespace
}  // namespace longshot::model
