#include "rollout/sampling/drafter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/rng.h"

namespace longshot::rollout {
namespace {

using Tokens = std::vector<int32_t>;

// Follows a text token by token, as the engine does.
void follow_all(Drafter& drafter, int64_t id, uint64_t group, const Tokens& text, int shared) {
  for (size_t n = shared; n <= text.size(); ++n) {
    drafter.follow(id, group, std::span(text).first(n), shared);
  }
}

Tokens ramp(int first, int count) {
  Tokens tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

Tokens joined(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Drafter, CopiesWhatFollowedTheSameTokensInThePrompt) {
  Drafter drafter(10);
  const Tokens text = joined(ramp(0, 20), {90, 91, 5, 6});
  drafter.follow(1, 7, text, 20);
  const Draft draft = drafter.propose(1, text, 6, 0);
  EXPECT_EQ(draft.tokens, ramp(7, 6));
  EXPECT_TRUE(std::ranges::is_sorted(draft.odds, std::greater()));
}

TEST(Drafter, KnowsNothingOfWhatNeverOccurred) {
  Drafter drafter(10);
  const Tokens text = ramp(0, 30);
  drafter.follow(1, 7, text, 10);
  EXPECT_TRUE(drafter.propose(1, text, 6, 0).tokens.empty());
}

TEST(Drafter, GroupMembersGuessForOneAnotherAndStrangersDoNot) {
  Drafter drafter(10);
  const Tokens prompt = {1, 2, 3};
  const Tokens first = joined(prompt, {50, 51, 52, 53, 54});
  follow_all(drafter, 1, 7, first, 3);
  drafter.leave(1, first);
  const Tokens second = joined(prompt, {40, 50, 51});
  drafter.follow(2, 7, second, 3);
  drafter.follow(3, 8, second, 3);
  EXPECT_EQ(drafter.propose(2, second, 6, 0).tokens, (Tokens{52, 53, 54}));
  EXPECT_TRUE(drafter.propose(3, second, 6, 0).tokens.empty());
}

TEST(Drafter, TheMostFrequentContinuationWins) {
  Drafter drafter(10);
  const Tokens prompt = {1, 2};
  for (int i = 0; i < 5; ++i) {
    const Tokens text = joined(prompt, {30, 31, i == 1 || i == 3 ? 98 : 32});
    drafter.follow(i, 7, text, 2);
    drafter.leave(i, text);
  }
  const Tokens text = joined(prompt, {30, 31});
  drafter.follow(9, 7, text, 2);
  EXPECT_EQ(drafter.propose(9, text, 1, 0).tokens, (Tokens{32}));
}

// The same last two tokens had two continuations; the tokens before them decide which is guessed.
TEST(Drafter, ALongerContextDecides) {
  Drafter drafter(10);
  const Tokens prompt = {1, 2, 10, 20, 30, 7, 8, 60, 11, 21, 31, 7, 8, 61, 11, 21, 31, 7, 8, 61};
  const Tokens text = joined(prompt, {10, 20, 30, 7, 8});
  drafter.follow(1, 7, text, static_cast<int>(prompt.size()));
  EXPECT_EQ(drafter.propose(1, text, 1, 0).tokens, (Tokens{60}));
}

// Guesses are tested on every token, fed or not: guesses that are never right get low odds, guesses
// that are always right get odds near 1.
TEST(Drafter, OddsAreLearnt) {
  CounterRng rng(3);
  Drafter noise(16), loop(16);
  Tokens random = {1, 2}, cycle = {1, 2};
  for (int i = 0; i < 2000; ++i) {
    random.push_back(static_cast<int32_t>(rng.next_below(30)));
    cycle.push_back(i % 9);
  }
  follow_all(noise, 1, 7, random, 2);
  follow_all(loop, 1, 7, cycle, 2);
  const Draft bad = noise.propose(1, random, 1, 0), good = loop.propose(1, cycle, 8, 0);
  ASSERT_FALSE(bad.tokens.empty());
  EXPECT_LT(bad.odds[0], 0.3f);
  ASSERT_EQ(good.tokens.size(), 8u);
  EXPECT_GT(good.odds[7], 0.8f);
  EXPECT_EQ(good.tokens[0], 2000 % 9);
}

TEST(Drafter, EndsWhereTheOddsFallTooLow) {
  Drafter drafter(10);
  const Tokens text = joined(ramp(0, 20), {5, 6});
  drafter.follow(1, 7, text, 20);
  const Draft draft = drafter.propose(1, text, 16, 0.1);
  EXPECT_EQ(draft.tokens.size(), 3u);  // 0.5, 0.25, 0.125 before anything was tested
}

// Far more contexts than the table has room for.
TEST(Drafter, AFullTableStillLearnsWhatIsNew) {
  CounterRng rng(5);
  Drafter drafter(6);
  Tokens text = {1, 2};
  for (int i = 0; i < 3000; ++i) text.push_back(static_cast<int32_t>(rng.next_below(1000)));
  for (int i = 0; i < 40; ++i) text.push_back(2000 + i % 4);
  follow_all(drafter, 1, 7, text, 2);
  EXPECT_EQ(drafter.propose(1, text, 3, 0).tokens, (Tokens{2000, 2001, 2002}));
}

std::vector<Draft> drafts_of(std::initializer_list<std::vector<float>> odds) {
  std::vector<Draft> drafts;
  for (const auto& o : odds) drafts.push_back({Tokens(o.size(), 1), o});
  return drafts;
}

// One sample and an overhead of 9 rows: 1 token per pass of 10 rows. The first guess adds 0.5 for a
// row (1.5 of 11), the second 0.2 (1.7 of 12), and the third's 0.1 is less than what the pass
// already gives per row.
TEST(KeepWorthwhile, AGuessMustBeatTheAverageOfThePass) {
  auto drafts = drafts_of({{0.5f, 0.2f, 0.1f, 0.09f}});
  keep_worthwhile(drafts, 9);
  EXPECT_EQ(drafts[0].odds, (std::vector<float>{0.5f, 0.2f}));
  EXPECT_EQ(drafts[0].tokens.size(), 2u);
}

TEST(KeepWorthwhile, ALargeBatchOnlyTakesNearCertainties) {
  std::vector<Draft> drafts(30);
  drafts[3] = {{1}, {0.7f}};
  drafts[9] = {{1, 1}, {0.95f, 0.7f}};
  keep_worthwhile(drafts, 10);  // 30 tokens of 40 rows
  EXPECT_TRUE(drafts[3].tokens.empty());
  EXPECT_EQ(drafts[9].tokens.size(), 1u);
}

TEST(KeepWorthwhile, WithoutOverheadNothingPays) {
  auto drafts = drafts_of({{0.99f}, {1.0f}});
  keep_worthwhile(drafts, 0);
  EXPECT_TRUE(drafts[0].tokens.empty());
  EXPECT_TRUE(drafts[1].tokens.empty());
}

}  // namespace
}  // namespace longshot::rollout
