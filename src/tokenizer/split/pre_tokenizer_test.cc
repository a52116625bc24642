#include "tokenizer/split/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::tokenizer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> pieces_of(const Json& json, const std::string& text) {
  auto made = PreTokenizer::from_json(json, "pre_tokenizer");
  EXPECT_TRUE(made.ok()) << made.status().message();
  std::vector<std::string_view> views;
  std::deque<std::string> storage;
  made->split(text, true, views, storage);
  return {views.begin(), views.end()};
}

Json split(const std::string& regex, const std::string& behavior, bool invert = false) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", behavior},
          {"invert", invert}};
}

TEST(PreTokenizerTest, BehaviorsTreatMatchesDifferently) {
  EXPECT_THAT(pieces_of(split("-", "Isolated"), "a--b-c"),
              ElementsAre("a", "-", "-", "b", "-", "c"));
  EXPECT_THAT(pieces_of(split("-", "Removed"), "a--b-c"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(pieces_of(split("-", "MergedWithPrevious"), "a--b-c"),
              ElementsAre("a-", "-", "b-", "c"));
  EXPECT_THAT(pieces_of(split("-", "MergedWithNext"), "a--b-c"), ElementsAre("a", "-", "-b", "-c"));
  EXPECT_THAT(pieces_of(split("-", "Contiguous"), "a--b-c"), ElementsAre("a", "--", "b", "-", "c"));
  EXPECT_THAT(pieces_of(split("-", "Removed", true), "a--b-c"), ElementsAre("-", "-", "-"));
}

TEST(PreTokenizerTest, AnEmptyPatternCutsCharacters) {
  EXPECT_THAT(pieces_of(split("", "Isolated"), "a\u00e9b"), ElementsAre("a", "\u00e9", "b"));
}

TEST(PreTokenizerTest, AStringPatternIsTakenLiterally) {
  const Json json = {{"type", "Split"}, {"pattern", {{"String", "a.b"}}}, {"behavior", "Isolated"}};
  EXPECT_THAT(pieces_of(json, "axba.b"), ElementsAre("axb", "a.b"));
}

TEST(PreTokenizerTest, DigitsAloneOrTogether) {
  EXPECT_THAT(pieces_of({{"type", "Digits"}, {"individual_digits", true}}, "a12\u0663"),
              ElementsAre("a", "1", "2", "\u0663"));
  EXPECT_THAT(pieces_of({{"type", "Digits"}}, "a12b"), ElementsAre("a", "12", "b"));
}

TEST(PreTokenizerTest, ByteLevelCutsLikeGpt2) {
  const Json json = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  EXPECT_THAT(pieces_of(json, "I'll pay 12  euros!\n\n"),
              ElementsAre("I", "'ll", " pay", " 12", " ", " euros", "!", "\n\n"));
  EXPECT_THAT(pieces_of({{"type", "ByteLevel"}, {"add_prefix_space", true}}, "ab"),
              ElementsAre(" ab"));
}

TEST(PreTokenizerTest, SpaceAndLetterClassesFollowCurrentUnicode) {
  // U+180E is not white space; U+31350 has been a letter since Unicode 15.
  EXPECT_THAT(pieces_of(split("\\s+", "Removed"), "a\u180e b"), ElementsAre("a\u180e", "b"));
  EXPECT_THAT(pieces_of(split("[^\\S]+", "Removed"), "a\u180e b"), ElementsAre("a\u180e", "b"));
  EXPECT_THAT(pieces_of(split("\\p{L}+", "Isolated"), "!\U00031350!"),
              ElementsAre("!", "\U00031350", "!"));
  EXPECT_THAT(pieces_of(split("\\P{L}+", "Removed"), "!\U00031350!"), ElementsAre("\U00031350"));
}

TEST(PatternTest, WhatPcre2WouldReadDifferentlyIsRefused) {
  for (const char* pattern :
       {"a{1,2}+", "[a[b]]", "[a&&b]", "(?m:a)", "\\w", "\\b", "\\pL", "a\\", "\\p{C}"}) {
    const auto made = Pattern::compile(pattern);
    ASSERT_FALSE(made.ok()) << pattern;
    EXPECT_THAT(made.status().message(), HasSubstr("is not supported")) << pattern;
  }
  EXPECT_FALSE(Pattern::compile("(").ok());
  EXPECT_FALSE(Pattern::compile("\\p{Nonsense}").ok());
}

TEST(PreTokenizerTest, StepsAfterByteLevelAreRefused) {
  const Json json = {{"type", "Sequence"},
                     {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}};
  const auto made = PreTokenizer::from_json(json, "pre_tokenizer");
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.status().message(), HasSubstr("after ByteLevel"));
}

}  // namespace
}  // namespace longshot::tokenizer
