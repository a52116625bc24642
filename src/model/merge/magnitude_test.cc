#include "model/merge/magnitude.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"

namespace longshot::model {
namespace {

std::vector<bool> select(const std::vector<float>& values, uint64_t k, size_t block) {
  MagnitudeSelection selection(k);
  for (int pass = 0; pass < MagnitudeSelection::kPasses; ++pass) {
    for (size_t begin = 0; begin < values.size(); begin += block)
      selection.count({values.data() + begin, std::min(block, values.size() - begin)});
    selection.finish_pass();
  }
  std::vector<bool> kept;
  for (const float value : values) kept.push_back(selection.keeps(value));
  return kept;
}

// The first k of a stable sort by decreasing magnitude.
std::vector<bool> sorted(const std::vector<float>& values, uint64_t k) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::abs(values[a]) > std::abs(values[b]); });
  std::vector<bool> kept(values.size());
  for (size_t i = 0; i < std::min<size_t>(k, values.size()); ++i) kept[order[i]] = true;
  return kept;
}

TEST(MagnitudeSelectionTest, EqualsASort) {
  CounterRng rng(3);
  std::vector<float> values;
  for (int i = 0; i < 3000; ++i) {
    // A third has few distinct values, so that many are equal at the threshold.
    const double value = rng.next_normal();
    values.push_back(static_cast<float>(i % 3 == 0 ? std::round(value) : value));
  }
  for (const uint64_t k : {1u, 2u, 10u, 700u, 1500u, 2999u, 3000u, 5000u})
    EXPECT_EQ(select(values, k, 256), sorted(values, k)) << k;
}

TEST(MagnitudeSelectionTest, KeepsTheFirstOfEqualMagnitudes) {
  EXPECT_EQ(select({1, -1, 0, 1, 2, -1}, 3, 2),
            (std::vector<bool>{true, true, false, false, true, false}));
  EXPECT_EQ(select({0, 0, 0}, 2, 3), (std::vector<bool>{true, true, false}));
}

}  // namespace
}  // namespace longshot::model
