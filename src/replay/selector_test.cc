#include "replay/selector.h"

#include <gtest/gtest.h>

#include <set>

namespace longshot::replay {
namespace {

const std::vector<Candidate> kCandidates = {{3, 10}, {1, 12}, {2, 11}, {0, 12}};

std::vector<size_t> choose(const std::string& name, size_t count, uint64_t draw = 0) {
  return make_selector(name).value()->select(kCandidates, count, draw);
}

TEST(Selector, FifoTakesOldestFirst) {
  EXPECT_EQ(choose("fifo", 3), (std::vector<size_t>{3, 1, 2}));
}

TEST(Selector, FreshestTakesNewestVersionFirst) {
  EXPECT_EQ(choose("freshest", 3), (std::vector<size_t>{1, 3, 2}));
}

TEST(Selector, UniformIsKeyedAndCoversAll) {
  EXPECT_EQ(choose("uniform", 2, 5), choose("uniform", 2, 5));
  std::set<size_t> firsts;
  for (uint64_t draw = 0; draw < 64; ++draw) firsts.insert(choose("uniform", 1, draw)[0]);
  EXPECT_EQ(firsts.size(), kCandidates.size());
}

TEST(Selector, NeverMoreThanThereAre) {
  for (const char* name : {"fifo", "freshest", "uniform"}) EXPECT_EQ(choose(name, 99).size(), 4u);
}

TEST(Selector, UnknownNameListsTheKnownOnes) {
  const auto result = make_selector("lifo");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("freshest"), std::string::npos);
}

}  // namespace
}  // namespace longshot::replay
