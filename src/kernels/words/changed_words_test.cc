#include "kernels/words/changed_words.h"

#include <algorithm>

#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

class ChangedWords : public Kernels {};

INSTANTIATE_TEST_SUITE_P(EveryTarget, ChangedWords, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

// The slow reference.
size_t reference(const std::vector<uint16_t>& before, const std::vector<uint16_t>& after,
                 std::vector<uint16_t>& positions, std::vector<uint16_t>& values) {
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    positions.push_back(static_cast<uint16_t>(i));
    values.push_back(after[i]);
  }
  return positions.size();
}

TEST_P(ChangedWords, EqualsTheReference) {
  int largest = 0;
  for (const size_t count : {size_t{0}, size_t{1}, size_t{31}, size_t{1000}, kMostWords}) {
    for (const double share : {0.0, 0.001, 0.1, 0.5, 1.0}) {
      CounterRng rng(count + static_cast<size_t>(1000 * share));
      std::vector<uint16_t> before(count), expected_positions, expected_values;
      for (uint16_t& word : before) word = static_cast<uint16_t>(rng.next_u64());
      std::vector<uint16_t> after = before;
      for (uint16_t& word : after)
        if (rng.next_double() < share) word = static_cast<uint16_t>(rng.next_u64());
      std::vector<uint16_t> positions(count + kWordPadding), values(count + kWordPadding);
      const size_t changed =
          changed_words(before.data(), after.data(), count, positions.data(), values.data());
      ASSERT_EQ(changed, reference(before, after, expected_positions, expected_values));
      for (size_t i = 0; i < changed; ++i) {
        largest = std::max({largest, std::abs(positions[i] - expected_positions[i]),
                            std::abs(values[i] - expected_values[i])});
      }
    }
  }
  std::printf("largest difference: %d\n", largest);
  EXPECT_EQ(largest, 0);
}

}  // namespace
}  // namespace longshot::kernels
