#include "train/pass/lane_cut.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/rng.h"

namespace longshot::train {
namespace {

using testing::ElementsAre;

// Rows with prompts that consist of one repeated token, and all later tokens as targets.
class Rows {
 public:
  void add(data::TokenId prompt, int prompt_length, int response) {
    std::vector<data::TokenId> tokens(static_cast<size_t>(prompt_length), prompt);
    tokens.resize(tokens.size() + static_cast<size_t>(response), 1);
    std::vector<uint8_t> mask(static_cast<size_t>(prompt_length), 0);
    mask.resize(tokens.size(), 1);
    tokens_.push_back(std::move(tokens));
    masks_.push_back(std::move(mask));
    prompts_.push_back(prompt_length);
  }
  std::vector<PassRow> all() const {
    std::vector<PassRow> rows;
    for (size_t i = 0; i < tokens_.size(); ++i)
      rows.push_back({tokens_[i], masks_[i], prompts_[i]});
    return rows;
  }

 private:
  std::vector<std::vector<data::TokenId>> tokens_;
  std::vector<std::vector<uint8_t>> masks_;
  std::vector<int> prompts_;
};

TEST(LaneCut, OneLaneHasAllRowsInOrder) {
  Rows rows;
  for (const int length : {3, 30, 7, 1}) rows.add(5, 4, length);
  EXPECT_THAT(cut_into_lanes(rows.all(), 1, true), ElementsAre(ElementsAre(0, 1, 2, 3)));
  EXPECT_THAT(cut_into_lanes({}, 2, true), ElementsAre(ElementsAre(), ElementsAre()));
}

TEST(LaneCut, PutsTheLongestRowsFirstAndIntoTheShortestLane) {
  Rows rows;
  for (const int length : {10, 50, 20, 25}) rows.add(5, 0, length);
  EXPECT_THAT(cut_into_lanes(rows.all(), 2, false),
              ElementsAre(ElementsAre(1), ElementsAre(0, 2, 3)));
}

TEST(LaneCut, RowsOfAPromptStayTogetherIfPromptsAreShared) {
  Rows rows;
  for (int i = 0; i < 8; ++i) rows.add(i % 2 == 0 ? 5 : 6, 20, 5);
  EXPECT_THAT(cut_into_lanes(rows.all(), 2, true),
              ElementsAre(ElementsAre(0, 2, 4, 6), ElementsAre(1, 3, 5, 7)));
  EXPECT_THAT(cut_into_lanes(rows.all(), 2, false),
              ElementsAre(ElementsAre(0, 2, 4, 6), ElementsAre(1, 3, 5, 7)));
}

// One group alone is still divided.
TEST(LaneCut, APromptWithMoreThanAFairShareIsDivided) {
  Rows rows;
  for (int i = 0; i < 8; ++i) rows.add(5, 10, 40);
  for (const auto& part : cut_into_lanes(rows.all(), 4, true)) EXPECT_EQ(part.size(), 2U);
}

// `share`: prompts. Checks that each row is in one lane, and returns the tokens of the lanes.
std::vector<int64_t> tokens_of_lanes(const std::vector<PassRow>& rows, bool share) {
  std::vector<size_t> seen, expected(rows.size());
  std::vector<int64_t> tokens;
  for (const auto& part : cut_into_lanes(rows, 4, share)) {
    tokens.push_back(0);
    for (const size_t row : part) tokens.back() += static_cast<int64_t>(rows[row].tokens.size());
    seen.insert(seen.end(), part.begin(), part.end());
  }
  std::ranges::sort(seen);
  std::iota(expected.begin(), expected.end(), size_t{0});
  EXPECT_EQ(seen, expected);
  return tokens;
}

TEST(LaneCut, EveryRowIsInOneLaneAndTheLanesAreBalanced) {
  CounterRng rng(3);
  for (int round = 0; round < 50; ++round) {
    Rows rows;
    int64_t longest = 0;
    for (int i = 0; i < 40; ++i) {
      const auto response = static_cast<int>(rng.next_int(1, 60));
      rows.add(static_cast<data::TokenId>(i / 8), 12, response);
      longest = std::max<int64_t>(longest, 12 + response);
    }
    tokens_of_lanes(rows.all(), true);
    const auto tokens = tokens_of_lanes(rows.all(), false);
    EXPECT_LE(std::ranges::max(tokens) - std::ranges::min(tokens), longest);
  }
}

}  // namespace
}  // namespace longshot::train
