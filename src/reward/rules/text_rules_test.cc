#include <gtest/gtest.h>

#include <ctime>

#include "reward/reward.h"

namespace longshot::reward {
namespace {

double cpu_seconds(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

Result<Score> judge(const std::string& type, const Json& options, const std::string& completion,
                    const std::string& truth = "") {
  auto reward =
      make_reward({.type = type, .weight = 1, .decides_correct = true, .options = options});
  if (!reward.ok()) return reward.status();
  Question question;
  question.completion = completion;
  question.ground_truth = truth;
  return (*reward)->judge(question, Deadline::never());
}

TEST(Exact, ComparesTrimmedText) {
  EXPECT_EQ(judge("exact", {}, " hello\n", "hello")->value, 1);
  EXPECT_EQ(judge("exact", {}, "Hello", "hello")->value, 0);
  EXPECT_EQ(judge("exact", {}, "hello world", "hello")->value, 0);
  EXPECT_EQ(judge("exact", {{"ignore_case", true}}, "Hello", "hello")->value, 1);
}

TEST(Exact, TakesAnyOfAListOfAnswers) {
  const std::string accepted = R"(["navy", "dark \"blue\""])";
  EXPECT_EQ(judge("exact", {}, "navy", accepted)->value, 1);
  EXPECT_EQ(judge("exact", {}, "dark \"blue\"", accepted)->value, 1);
  EXPECT_EQ(judge("exact", {}, accepted, accepted)->value, 1);
  EXPECT_EQ(judge("exact", {{"ignore_case", true}}, "NAVY", accepted)->value, 1);
  for (const char* wrong : {"u", "\"navy\"", "navy, dark \"blue\"", "", "blue", ","})
    EXPECT_EQ(judge("exact", {}, wrong, accepted)->value, 0) << wrong;
  EXPECT_EQ(judge("exact", {}, "1", "[1, 2]")->value, 0);
  EXPECT_EQ(judge("exact", {}, "[1, 2]", "[1, 2]")->value, 1);
}

TEST(Exact, TakesAPartOfTheResponse) {
  EXPECT_EQ(judge("exact", {{"take", "last_line"}}, "hm\nhello\n\n", "hello")->value, 1);
  EXPECT_EQ(judge("exact", {{"take", "answer_tag"}}, "<answer>a</answer><answer> hello </answer>",
                  "hello")
                ->value,
            1);
  EXPECT_EQ(judge("exact", {{"take", "answer_tag"}}, "hello", "hello")->value, 0);
  EXPECT_EQ(judge("exact", {{"pattern", "=> (\\w+)"}}, "x => a, y => hello.", "hello")->value, 1);
  EXPECT_EQ(judge("exact", {{"pattern", "=> (\\w+)"}}, "hello", "hello")->value, 0);
  EXPECT_EQ(judge("exact", {{"take", "somewhere"}}, "x", "x").status().code(),
            StatusCode::invalid_argument);
}

TEST(Format, MatchesSomewhereOrInFull) {
  const std::string pattern = "(?s)<think>.*</think>\\s*<answer>.*</answer>";
  EXPECT_EQ(
      judge("format", {{"pattern", pattern}}, "hm <think>a\nb</think>\n<answer>c</answer>")->value,
      1);
  EXPECT_EQ(judge("format", {{"pattern", pattern}, {"full", true}},
                  "hm <think>a</think><answer>c</answer>")
                ->value,
            0);
  EXPECT_EQ(
      judge("format", {{"pattern", pattern}, {"full", true}}, "<think>a</think><answer>c</answer>")
          ->value,
      1);
  EXPECT_EQ(judge("format", {{"pattern", pattern}}, "plain")->value, 0);
}

TEST(Format, BadPatternIsNamedWithItsPosition) {
  const auto status = judge("format", {{"pattern", "a(b"}}, "x").status();
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_NE(status.message().find("at byte 3"), std::string::npos) << status.message();
  EXPECT_NE(judge("format", {}, "x").status().message().find("pattern"), std::string::npos);
}

TEST(Format, CatastrophicPatternIsAnErrorInBoundedTime) {
  const std::clock_t start = std::clock();  // processor time: other processes may use the machine
  const auto result =
      judge("format", {{"pattern", "^(\\w+\\s?)*\\($"}}, std::string(60, 'a') + "!");
  EXPECT_LT(cpu_seconds(start), 5.0);
  EXPECT_TRUE(!result.ok() || result->value == 0);
  const auto hopeless =
      judge("format", {{"pattern", "(a+)+(b+)+(?=c)(*COMMIT)d|((a*)*)*e"}}, std::string(5000, 'a'));
  EXPECT_LT(cpu_seconds(start), 10.0);
  ASSERT_FALSE(hopeless.ok());
  EXPECT_EQ(hopeless.status().code(), StatusCode::internal);
}

TEST(Format, AnyBytesAreJudged) {
  EXPECT_EQ(judge("format", {{"pattern", "b.d"}}, "a\xff\xfe b\u00e9d")->value, 1);
  EXPECT_EQ(judge("format", {{"pattern", "^x$"}}, std::string("\0\xff", 2))->value, 0);
}

TEST(Repetition, IsTheShareOfRepeatedNgrams) {
  // 2-grams of "a b a b a": ab ba ab ba -> 2 of 4 repeat.
  EXPECT_DOUBLE_EQ(judge("repetition", {{"ngram", 2}}, "a b a b a")->value, -0.5);
  EXPECT_DOUBLE_EQ(judge("repetition", {{"ngram", 2}, {"max_penalty", 0.2}}, "a b a b a")->value,
                   -0.1);
  EXPECT_EQ(judge("repetition", {{"ngram", 2}}, "a b c d")->value, 0);
  EXPECT_EQ(judge("repetition", {{"ngram", 9}}, "a a a")->value, 0);
  EXPECT_EQ(judge("repetition", {}, "")->value, 0);
  EXPECT_FALSE(judge("repetition", {{"ngram", 0}}, "a").ok());
  EXPECT_FALSE(judge("repetition", {{"max_penalty", -1}}, "a").ok());
}

}  // namespace
}  // namespace longshot::reward
