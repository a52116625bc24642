#include "curate/text/shingles.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/rng.h"

namespace longshot::curate {
namespace {

std::vector<uint64_t> shingles(std::string_view words, int n) {
  std::vector<uint64_t> set;
  shingle_set(words, n, set);
  return set;
}

TEST(Shingles, AreRunsOfWords) {
  EXPECT_EQ(shingles("a b c d", 3).size(), 2U);
  EXPECT_EQ(shingles("a a a a", 2).size(), 1U) << "a set";
  EXPECT_EQ(shingles("x a b c", 3)[0] == shingles("a b c", 3)[0] ||
                shingles("x a b c", 3)[1] == shingles("a b c", 3)[0],
            true);
  EXPECT_NE(shingles("a b", 2), shingles("b a", 2)) << "in their order";
}

TEST(Shingles, OfShortTextsAreTheWholeText) {
  EXPECT_EQ(shingles("cat", 5).size(), 1U);
  EXPECT_NE(shingles("cat", 5), shingles("dog", 5));
  EXPECT_EQ(shingles("cat", 5), shingles("cat", 5));
  EXPECT_TRUE(shingles("", 5).empty());
  EXPECT_EQ(jaccard({}, {}), 0) << "texts without words are not similar";
}

// Against sets of the words themselves.
TEST(Shingles, HaveTheJaccardSimilarityOfTheirTexts) {
  CounterRng rng(4);
  for (int round = 0; round < 200; ++round) {
    const int n = static_cast<int>(rng.next_int(1, 4));
    std::vector<uint64_t> sets[2];
    std::set<std::string> runs[2];
    for (int side = 0; side < 2; ++side) {
      std::vector<std::string> words(static_cast<size_t>(rng.next_int(4, 30)));
      for (auto& word : words) word = std::string(1, static_cast<char>('a' + rng.next_below(3)));
      std::string text;
      for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
      sets[side] = shingles(text, n);
      for (size_t i = 0; i + static_cast<size_t>(n) <= words.size(); ++i) {
        std::string run;
        for (int k = 0; k < n; ++k) run += words[i + static_cast<size_t>(k)] + " ";
        runs[side].insert(run);
      }
    }
    size_t shared = 0;
    for (const auto& run : runs[0]) shared += runs[1].contains(run);
    const auto all = static_cast<double>(runs[0].size() + runs[1].size() - shared);
    EXPECT_DOUBLE_EQ(jaccard(sets[0], sets[1]), static_cast<double>(shared) / all);
    const bool allowed = sizes_allow(sets[0].size(), sets[1].size(), 0.8);
    EXPECT_TRUE(allowed || jaccard(sets[0], sets[1]) < 0.8);
  }
}

}  // namespace
}  // namespace longshot::curate
