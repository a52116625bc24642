#include "base/text/text.h"

#include <gtest/gtest.h>

#include <utility>

namespace longshot {
namespace {

TEST(AfterThinking, ReturnsTheTextAfterTheLastThoughts) {
  EXPECT_EQ(after_thinking("<think>a</think> b"), " b");
  EXPECT_EQ(after_thinking("a</think>b"), "b") << "the prompt has the opening mark";
  EXPECT_EQ(after_thinking("<think>a</think>b<think>c</think>d"), "d");
  EXPECT_EQ(after_thinking("a <think>b</think> c </think> d"), " d");
}

TEST(AfterThinking, KnowsTheMarksOfOtherModels) {
  const std::pair<const char*, const char*> marks[] = {
      {"<think>", "</think>"},
      {"<thinking>", "</thinking>"},
      {"<thought>", "</thought>"},
      {"<reasoning>", "</reasoning>"},
      {"<|begin_of_thought|>", "<|end_of_thought|>"},
      {"<|channel|>analysis<|message|>", "<|channel|>final<|message|>"},
      {"[THINK]", "[/THINK]"},
      {"\u25c1think\u25b7", "\u25c1/think\u25b7"}};
  for (const auto& [open, close] : marks) {
    EXPECT_EQ(after_thinking(std::string(open) + "a" + close + "b"), "b") << open;
    EXPECT_EQ(after_thinking(std::string(open) + "a"), "") << open;
  }
}

TEST(AfterThinking, WithoutAnAnswerTheWholeTextCounts) {
  for (const char* text : {"", "a", "<think>a</think>", "<think>a</think> \n", "</think>"})
    EXPECT_EQ(after_thinking(text), text);
}

TEST(AfterThinking, ThoughtsThatDoNotEndLeaveNothing) {
  EXPECT_EQ(after_thinking("<think>a"), "");
  EXPECT_EQ(after_thinking("<think>a</think>b<think>c"), "");
  EXPECT_EQ(after_thinking("a <thinking> b </think"), "");
}

TEST(LastTag, IsTheLastCompleteOne) {
  EXPECT_EQ(last_tag("<answer>1</answer><answer> 2 </answer><answer>3", "answer"), "2");
  EXPECT_EQ(last_tag("<answer>1", "answer"), std::nullopt);
  EXPECT_EQ(last_tag("1</answer>", "answer"), std::nullopt);
}

TEST(Text, LinesWordsAndCase) {
  EXPECT_EQ(last_line("a\n b \n\n"), "b");
  EXPECT_EQ(last_line(" \n"), "");
  EXPECT_EQ(words_of("a-1, b2").size(), 3u);
  EXPECT_EQ(split_at_commas("a,,b"), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split_at_commas(""), std::vector<std::string>{""});
  EXPECT_EQ(find_last_ignoring_case("The Answer: ANSWER", "answer"), 12u);
  EXPECT_EQ(find_last_ignoring_case("The", "answer"), std::string_view::npos);
  EXPECT_TRUE(starts_with_ignoring_case("Final", "fin"));
  std::string text = "aXbX";
  replace_all(text, "X", "XX");
  EXPECT_EQ(text, "aXXbXX");
}

TEST(EqualSecrets, ComparesAllBytes) {
  EXPECT_TRUE(equal_secrets("", ""));
  EXPECT_TRUE(equal_secrets("abc", "abc"));
  EXPECT_FALSE(equal_secrets("abc", "abd"));
  EXPECT_FALSE(equal_secrets("abc", "bbc"));
  EXPECT_FALSE(equal_secrets("abc", "ab"));
  EXPECT_FALSE(equal_secrets("", "a"));
}

}  // namespace
}  // namespace longshot
