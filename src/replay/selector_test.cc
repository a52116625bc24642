#include "replay/selector.h"

#include <gtest/gtest.h>

#include <set>

namespace longshot::replay {
namespace {

const std::vector<Candidate> kCandidates = {{3, 10}, {1, 12}, {2, 11}, {0, 12}};

std::vector<size_t> choose(SelectorKind kind, size_t count, uint64_t draw = 0) {
  return make_selector(kind)->select(kCandidates, count, draw);
}

TEST(Selector, FifoTakesOldestFirst) {
  EXPECT_EQ(choose(SelectorKind::fifo, 3), (std::vector<size_t>{3, 1, 2}));
}

TEST(Selector, FreshestTakesNewestVersionFirst) {
  EXPECT_EQ(choose(SelectorKind::freshest, 3), (std::vector<size_t>{1, 3, 2}));
}

TEST(Selector, EarliestDeadlineTakesOldestVersionFirst) {
  EXPECT_EQ(choose(SelectorKind::edf, 4), (std::vector<size_t>{0, 2, 3, 1}));
}

TEST(Selector, UniformIsKeyedAndCoversAll) {
  EXPECT_EQ(choose(SelectorKind::uniform, 2, 5), choose(SelectorKind::uniform, 2, 5));
  std::set<size_t> firsts;
  for (uint64_t draw = 0; draw < 64; ++draw)
    firsts.insert(choose(SelectorKind::uniform, 1, draw)[0]);
  EXPECT_EQ(firsts.size(), kCandidates.size());
}

TEST(Selector, NeverMoreThanThereAre) {
  for (const SelectorKind kind : all_of<SelectorKind>()) EXPECT_EQ(choose(kind, 99).size(), 4u);
}

TEST(Selector, EveryKindHasItsName) {
  for (const SelectorKind kind : all_of<SelectorKind>())
    EXPECT_EQ(make_selector(kind)->debug_string(), name_of(kind));
}

}  // namespace
}  // namespace longshot::replay
