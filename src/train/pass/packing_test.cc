#include "train/pass/packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"

namespace longshot::train {
namespace {

using testing::ElementsAre;

TEST(Packing, LongestFirstIntoTheFirstPackWithRoom) {
  EXPECT_THAT(pack_sequences({3, 7, 5, 2, 3}, 10),
              ElementsAre(ElementsAre(1, 0), ElementsAre(2, 4, 3)));
}

TEST(Packing, ASequenceLongerThanThePackStandsAlone) {
  EXPECT_THAT(pack_sequences({50, 1, 1}, 10), ElementsAre(ElementsAre(0), ElementsAre(1, 2)));
}

TEST(Packing, EverySequenceIsInExactlyOnePackAndNoPackOverflows) {
  CounterRng rng(1);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<int64_t> lengths;
    for (uint64_t i = rng.next_below(200); i > 0; --i) lengths.push_back(rng.next_int(1, 100));
    std::set<size_t> seen;
    int64_t total = 0;
    const auto packs = pack_sequences(lengths, 128);
    for (const auto& pack : packs) {
      int64_t used = 0;
      for (const size_t i : pack) {
        used += lengths[i];
        EXPECT_TRUE(seen.insert(i).second);
      }
      EXPECT_LE(used, 128);
      total += used;
    }
    EXPECT_EQ(seen.size(), lengths.size());
    // Two half-empty packs never coexist.
    EXPECT_LE(packs.size(), static_cast<size_t>(2 * total / 128 + 1));
    EXPECT_EQ(packs, pack_sequences(lengths, 128));
  }
}

// The plain search through all packs, which the tree must reproduce.
std::vector<std::vector<size_t>> first_fit(const std::vector<int64_t>& lengths, int64_t most) {
  std::vector<size_t> order(lengths.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<size_t>> packs;
  std::vector<int64_t> room;
  for (const size_t i : order) {
    size_t pack = 0;
    while (pack < packs.size() && room[pack] < lengths[i]) ++pack;
    if (pack == packs.size()) packs.emplace_back(), room.push_back(most);
    packs[pack].push_back(i);
    room[pack] -= lengths[i];
  }
  return packs;
}

TEST(Packing, ThePacksAreThoseOfThePlainSearch) {
  CounterRng rng(7);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int64_t> lengths;
    for (uint64_t i = rng.next_below(70); i > 0; --i) lengths.push_back(rng.next_int(0, 150));
    ASSERT_EQ(pack_sequences(lengths, 128), first_fit(lengths, 128));
  }
}

TEST(Packing, PartsCoverAllItemsOnceAndDependOnTheKeyAlone) {
  for (const size_t count : {0u, 1u, 3u, 10u, 17u}) {
    const auto parts = random_parts(count, 4, 99);
    EXPECT_EQ(parts.size(), std::min<size_t>(count, 4));
    std::set<size_t> seen;
    size_t smallest = count, largest = 0;
    for (const auto& part : parts) {
      seen.insert(part.begin(), part.end());
      smallest = std::min(smallest, part.size());
      largest = std::max(largest, part.size());
    }
    EXPECT_EQ(seen.size(), count);
    if (count > 0) {
      EXPECT_GE(smallest, 1u);
      EXPECT_LE(largest - smallest, 1u);
    }
    EXPECT_EQ(parts, random_parts(count, 4, 99));
  }
  EXPECT_NE(random_parts(17, 4, 99), random_parts(17, 4, 100));
}

}  // namespace
}  // namespace longshot::train
