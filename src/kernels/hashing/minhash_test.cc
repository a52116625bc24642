#include "kernels/hashing/minhash.h"

#include <set>

#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

std::vector<uint32_t> random_values(size_t count, uint64_t seed) {
  CounterRng rng(seed);
  std::vector<uint32_t> out(count);
  for (uint32_t& v : out) v = static_cast<uint32_t>(rng.next_u64());
  return out;
}

std::vector<uint32_t> odd(std::vector<uint32_t> values) {
  for (uint32_t& v : values) v |= 1;
  return values;
}

class MinHash : public Kernels {};

INSTANTIATE_TEST_SUITE_P(EveryTarget, MinHash, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

TEST_P(MinHash, EqualsTheLoopOverFunctions) {
  for (const int functions : {16, 96, 208}) {
    const auto seeds = random_values(functions, 1), multipliers = odd(random_values(functions, 2));
    for (const int count : {0, 1, 7, 130}) {
      const auto values = random_values(count, 3 + count);
      std::vector<uint32_t> lowest(functions), expected(functions, ~0U);
      for (int f = 0; f < functions; ++f) {
        for (const uint32_t v : values)
          expected[f] = std::min(expected[f], min_hash_value(v, seeds[f], multipliers[f]));
      }
      min_hashes(values.data(), count, seeds.data(), multipliers.data(), functions, lowest.data());
      EXPECT_EQ(lowest, expected) << functions << " functions, " << count << " values";
    }
  }
}

// The share of equal lowest values has the expectation J and the deviation sqrt(J (1 - J) / K).
TEST(MinHashEstimate, IsTheJaccardSimilarity) {
  const int functions = 4096;
  const auto seeds = random_values(functions, 5), multipliers = odd(random_values(functions, 6));
  for (const double similarity : {0.1, 0.5, 0.9}) {
    const int size = 200;
    const int shared = static_cast<int>(std::lround(2 * size * similarity / (1 + similarity)));
    auto a = random_values(size, 7), b = random_values(size, 8);
    std::copy(a.begin(), a.begin() + shared, b.begin());
    const double exact = static_cast<double>(shared) / (2 * size - shared);
    std::vector<uint32_t> la(functions), lb(functions);
    min_hashes(a.data(), size, seeds.data(), multipliers.data(), functions, la.data());
    min_hashes(b.data(), size, seeds.data(), multipliers.data(), functions, lb.data());
    int equal = 0;
    for (int f = 0; f < functions; ++f) equal += la[f] == lb[f];
    const double deviation = std::sqrt(exact * (1 - exact) / functions);
    EXPECT_NEAR(equal / static_cast<double>(functions), exact, 4 * deviation);
  }
}

}  // namespace
}  // namespace longshot::kernels
