#include "curate/contamination/evaluation_index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace longshot::curate {
namespace {

std::string words(int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i)
    text += fmt::format("{}w{}", text.empty() ? "" : " ", i);
  return text;
}

EvaluationIndex index_of(const std::vector<std::string>& rows, OverlapOptions options = {}) {
  auto index = EvaluationIndex::create(options);
  EXPECT_TRUE(index.ok());
  for (const auto& row : rows) index->add(row);
  index->finish();
  return std::move(*index);
}

TEST(EvaluationIndex, FindsSharedRunsOfThirteenWords) {
  const auto index = index_of({words(1000, 5), words(0, 40)});
  const auto found = index.find("some new words " + words(20, 13) + " other words at the end");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->row, 1U);
  EXPECT_EQ(found->words, words(20, 13));
  EXPECT_FALSE(index.find("some new words " + words(20, 12) + " other words at the end"));
  EXPECT_FALSE(index.find(""));
}

TEST(EvaluationIndex, HandlesShortProblems) {
  const auto index = index_of({words(0, 9), words(100, 30), "what is 2 + 3"});
  EXPECT_EQ(index.find("first " + words(0, 9) + " last")->row, 0U) << "a short evaluation row";
  EXPECT_EQ(index.find(words(110, 9))->row, 1U) << "a short problem inside an evaluation row";
  EXPECT_EQ(index.find("what is 2 + 3")->row, 2U);
  EXPECT_FALSE(index.find("tell me now what is 2 + 3 please and more")) << "too short to tell";
  EXPECT_FALSE(index.find(words(110, 7))) << "too short to tell";
}

TEST(EvaluationIndex, IgnoresBoilerplate) {
  std::vector<std::string> rows;
  for (int i = 0; i < 12; ++i) rows.push_back(words(500, 14) + " " + words(1000 + 100 * i, 20));
  EXPECT_FALSE(index_of(rows).find(words(500, 14) + " " + words(9000, 30)));
  OverlapOptions all;
  all.common = 0;
  EXPECT_EQ(index_of(rows, all).find(words(500, 14) + " " + words(9000, 30))->row, 0U);
}

// Texts with a changed word in every twelve have no common run of 13 words.
TEST(EvaluationIndex, FindsSimilarTexts) {
  OverlapOptions options;
  options.shingle = 1;
  const auto index = index_of({words(0, 120)}, options);
  std::string text;
  for (int i = 0; i < 120; ++i)
    text += (i ? " " : "") + (i % 12 == 5 ? "new" : fmt::format("w{}", i));
  const auto found = index.find(text);
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->words.empty());
  EXPECT_NEAR(found->similarity, 110.0 / 121, 1e-12);
}

// Every planted row is found and no other one.
TEST(EvaluationIndex, FindsAllPlantedRows) {
  CounterRng rng(5);
  const auto random = [&](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += (i ? " v" : "v") + std::to_string(rng.next_below(3000));
    return text;
  };
  std::vector<std::string> rows;
  for (int i = 0; i < 500; ++i) rows.push_back(random(static_cast<int>(rng.next_int(8, 80))));
  const auto index = index_of(rows);
  for (int i = 0; i < 2000; ++i) {
    const bool planted = rng.next_below(2) == 0;
    const auto row = rng.next_below(rows.size());
    const std::string text = planted ? random(6) + " " + rows[row] + " " + random(6) : random(60);
    const auto found = index.find(text);
    ASSERT_EQ(found.has_value(), planted);
    ASSERT_TRUE(!planted || found->row == row);
  }
}

}  // namespace
}  // namespace longshot::curate
