#include "rollout/sampling/stop_rules.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace longshot::rollout {
namespace {

using data::FinishReason;
using data::TokenId;

// The definition, applied to the whole response.
bool loops(const std::vector<TokenId>& tokens, const RepetitionOptions& o) {
  const int n = static_cast<int>(tokens.size());
  for (int p = 1; p <= o.max_period; ++p) {
    const int needed = std::max(o.min_tokens, o.min_repeats * p);
    if (needed > n) continue;
    bool same = true;
    for (int i = n - needed + p; i < n && same; ++i) same = tokens[i] == tokens[i - p];
    if (same) return true;
  }
  return false;
}

TEST(Repetition, AgreesWithTheDefinitionAtEveryToken) {
  RepetitionOptions o;
  o.max_period = 5;
  o.min_repeats = 3;
  o.min_tokens = 9;
  int hits = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    CounterRng rng(seed);
    RepetitionDetector detector(o);
    std::vector<TokenId> tokens;
    for (int i = 0; i < 60; ++i) {
      // Mostly repeats the token `p` places before, so that loops of many periods occur.
      const int p = 1 + static_cast<int>(seed % 7);
      const bool repeat = i >= p && rng.next_below(20) != 0;
      tokens.push_back(repeat ? tokens[i - p] : static_cast<TokenId>(rng.next_below(3)));
      const bool expected = loops(tokens, o);
      ASSERT_EQ(expected, detector.update(tokens)) << "seed " << seed << " token " << i;
      hits += expected;
    }
  }
  EXPECT_GT(hits, 100);
}

TEST(Repetition, CanBeSwitchedOff) {
  RepetitionOptions o;
  o.enabled = false;
  RepetitionDetector detector(o);
  std::vector<TokenId> tokens;
  for (int i = 0; i < 500; ++i) {
    tokens.push_back(1);
    ASSERT_FALSE(detector.update(tokens));
  }
}

class Rules : public ::testing::Test {
 protected:
  Rules() : tokenizer_(*tokenizer::make_character_tokenizer("abcdef é")) {}

  // Index of the token at which the rules end the response, and why.
  std::pair<size_t, FinishReason> end_of(const std::string& text) {
    StopRules rules(sampling_, repetition_, tokenizer_.get());
    std::vector<TokenId> tokens;
    for (const TokenId id : tokenizer_->encode(text)) {
      tokens.push_back(id);
      if (const auto reason = rules.update(tokens)) return {tokens.size() - 1, *reason};
    }
    return {tokens.size(), FinishReason::partial};
  }
  SamplingOptions sampling_;
  RepetitionOptions repetition_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
};

TEST_F(Rules, StopStringIsFoundAcrossTokensAndOnlyOnce) {
  sampling_.stop_strings = {"fff", "cdé"};
  EXPECT_EQ(end_of("abcdéf"), (std::pair<size_t, FinishReason>{4, FinishReason::stop}));
  EXPECT_EQ(end_of("ffaffaf"), (std::pair<size_t, FinishReason>{7, FinishReason::partial}));
}

TEST_F(Rules, TextIsCutBeforeTheFirstStopString) {
  const auto tokens = tokenizer_->encode("ab cd ef");
  EXPECT_EQ(response_text(*tokenizer_, tokens, {"ef", "cd"}), "ab ");
  EXPECT_EQ(response_text(*tokenizer_, tokens, {}), "ab cd ef");
}

TEST_F(Rules, StopTokenWinsOverLength) {
  sampling_.stop_tokens = tokenizer_->encode("c");
  sampling_.max_response_length = 3;
  EXPECT_EQ(end_of("abc"), (std::pair<size_t, FinishReason>{2, FinishReason::stop}));
  EXPECT_EQ(end_of("abd"), (std::pair<size_t, FinishReason>{2, FinishReason::length}));
}

TEST_F(Rules, RepetitionWinsOverLength) {
  repetition_.min_tokens = 8;
  sampling_.max_response_length = 8;
  EXPECT_EQ(end_of("aaaaaaaa"), (std::pair<size_t, FinishReason>{7, FinishReason::repetition}));
}

}  // namespace
}  // namespace longshot::rollout
