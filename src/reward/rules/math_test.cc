#include <gtest/gtest.h>

#include <ctime>

#include "reward/answer/extract.h"
#include "reward/reward.h"

namespace longshot::reward {
namespace {

double cpu_seconds(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

// ---- extraction ---------------------------------------------------------------------------------

struct Extraction {
  const char* response;
  const char* answer;  // nullptr: none
};

constexpr Extraction kExtractions[] = {
    {"So \\boxed{42}.", "42"},
    {"\\boxed{1} then \\boxed{2}", "2"},
    {"First \\boxed{3}. Therefore the result is \\boxed{6}.", "6"},
    {"\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"},
    {"\\fbox{7}", "7"},
    {"\\boxed {8}", "8"},
    {"\\boxed 9 is it", "9"},
    {"\\boxed{\\boxed{5}}", "\\boxed{5}"},
    {"\\boxed{4} and then \\boxed{12", ""},
    {"\\boxed{\\{1,2\\}}", "\\{1,2\\}"},
    {"\\boxed{7} or \\boxed{8}", "7, 8"},
    {"\\boxed{7}\n\\boxed{8}", "7, 8"},
    {"$\\boxed{7}$, $\\boxed{7}$", "7"},
    {"\\boxed{}", ""},
    {"The answer is 42.", "42"},
    {"The answer is 42. I hope it helps.", "42"},
    {"the Answer: 42", "42"},
    {"**Answer:** 42", "42"},
    {"**Final Answer**: 42", "42"},
    {"Final answer is $42$", "$42$"},
    {"The final answer to the problem is 3.5.", "3.5"},
    {"The answer is therefore equal to 42.", "42"},
    {"The answer is:\n\n$$\n42\n$$\nDone.", "\n42\n"},
    {"The answer is 5, because 2 + 3 = 5.", "5"},
    {"The answer is 7 or 8.", "7 or 8"},
    {"The answer is not 7.", "not 7"},
    {"6 * 7 = 42\n#### 42", "42"},
    {"The answer is 3.\nNo wait. The answer is 4.", "4"},
    {"#### 1,234", "1,234"},
    {"<think>the answer is 3</think> The answer is 4", "4"},
    {"<think>\\boxed{3}</think> \\boxed{4}", "4"},
    {"<answer> 17 </answer>", "17"},
    {"<answer>1</answer> hm <answer>\\boxed{2}</answer>", "2"},
    {"3 + 4 gives 7", "7"},
    {"we get x = -3", "-3"},
    {"we get $-3$.", "-3"},
    {"costs $1,234.50 in total", "1,234.50"},
    {"that is 50%", "50%"},
    {"that is 3/4 of it", "3/4"},
    {"10-3", "10-3"},
    {"we have 10-3", "3"},
    {"Therefore $x \\geq 5$ is the solution.", "x \\geq 5"},
    {"It is \\(\\frac{1}{2}\\), so done", "\\frac{1}{2}"},
    {"It is $7$ or $8$", nullptr},
    {"It is not $7$", nullptr},
    {"a loss of $28$ percent", "28%"},
    {"with $x=5$ in 3 steps", "3"},
    {"\\frac{10}{9}", "\\frac{10}{9}"},
    {"\\\\boxed{4}", "4"},
    {"\\boxed{1} papers and \\boxed{2} bins", "1, 2"},
    {"\\boxed{1} no no no no \\boxed{2}", "2"},
    {"\\boxed{1}. Then and there \\boxed{2}", "2"},
    {"The answer: the largest $n$ is 34.", "34"},
    {"Final Answer: she began 3 hours ago.", "3"},
    {"The answer is half of 12.", "half of 12"},
    {"it is 7 or 8", nullptr},
    {"it is not 7", nullptr},
    {"it cannot be more than 7", nullptr},
    {"we get x^2", nullptr},
    {"we find 5x", nullptr},
    {"no number here", nullptr},
    {"", nullptr},
};

TEST(ExtractAnswer, FindsTheMarkedAnswer) {
  for (const auto& [response, answer] : kExtractions) {
    const auto found = extract_answer(response);
    ASSERT_EQ(found.has_value(), answer != nullptr)
        << response << " gave " << (found ? found->answer : "nothing");
    if (found) {
      EXPECT_EQ(found->answer, answer) << response;
    }
  }
}

TEST(ExtractAnswer, TruthComesPlainBoxedOrAfterHashes) {
  EXPECT_EQ(truth_value("42"), "42");
  EXPECT_EQ(truth_value(" \\boxed{42} "), "42");
  EXPECT_EQ(truth_value("Natalia sold 48/2 = <<48/2=24>>24 clips.\n#### 72"), "72");
}

// ---- the reward ---------------------------------------------------------------------------------

Result<Score> judge(const std::string& completion, const std::string& truth,
                    const Json& options = {}) {
  auto reward = make_reward({.type = "math", .options = options});
  EXPECT_TRUE(reward.ok()) << reward.status().to_string();
  Question question;
  question.completion = completion;
  question.ground_truth = truth;
  return (*reward)->judge(question, Deadline::never());
}

double score(const std::string& completion, const std::string& truth, const Json& options = {}) {
  const auto result = judge(completion, truth, options);
  EXPECT_TRUE(result.ok()) << result.status().to_string();
  return result.ok() ? result->value : -1;
}

TEST(MathReward, ScoresWholeResponses) {
  EXPECT_EQ(score("Let me think. 6*7=42. The answer is \\boxed{42}.", "#### 42"), 1);
  EXPECT_EQ(score("The answer is \\boxed{43}.", "42"), 0);
  EXPECT_EQ(score("I do not know.", "42"), 0);
  EXPECT_EQ(score("", "42"), 0);
  EXPECT_EQ(score("She has 12 apples left.", "12"), 1);
  EXPECT_EQ(score("The answer is 12 apples.", "12"), 1);
  EXPECT_EQ(score("The answer is half of 12.", "12"), 0);
  EXPECT_EQ(score("The answer is negative 12.", "12"), 0);
  EXPECT_EQ(score("The answer is one less than 12.", "12"), 0);
}

TEST(MathReward, ListingCandidatesDoesNotPay) {
  EXPECT_EQ(score("\\boxed{7} or \\boxed{8}", "7"), 0);
  EXPECT_EQ(score("\\boxed{7} or \\boxed{8}", "8"), 0);
  EXPECT_EQ(score("\\boxed{7}, \\boxed{8}", "8"), 0);
  EXPECT_EQ(score("\\boxed{7, 8}", "8"), 0);
  EXPECT_EQ(score("$\\boxed{7}$ or 8", "7"), 0);
  EXPECT_EQ(score("\\boxed{7} or maybe it is 8", "7"), 0);
  EXPECT_EQ(score("\\boxed{7}. The answer is 8.", "7"), 0);
  EXPECT_EQ(score("\\boxed{7}. The answer is 7.", "7"), 1);
  EXPECT_EQ(score("\\boxed{7}. The answer is correct. 3 steps were used.", "7"), 1);
  EXPECT_EQ(score("\\boxed{7}. The answer is the sum of 3 terms.", "7"), 1);
  EXPECT_EQ(score("\\boxed{x=7}. The answer is 7.", "7"), 1);
  EXPECT_EQ(score("\\boxed{7 \\text{ or } 8}", "8"), 0);
  EXPECT_EQ(score("The answer is 7 or 8.", "8"), 0);
  EXPECT_EQ(score("It is 7 or 8", "8"), 0);
  EXPECT_EQ(score("x=\\boxed{1} or x=\\boxed{2}", "1, 2"), 1);
}

TEST(MathReward, UnmarkedNumbersCountOnlyWhenAllowed) {
  EXPECT_EQ(score("so 42", "42"), 1);
  EXPECT_EQ(score("so 42", "42", {{"last_number", false}}), 0);
  EXPECT_EQ(score("\\boxed{42}", "42", {{"last_number", false}}), 1);
}

TEST(MathReward, AcceptsAnyOfAListOfTruths) {
  EXPECT_EQ(score("\\boxed{0.5}", "[\"3\", \"1/2\"]"), 1);
  EXPECT_EQ(score("\\boxed{4}", "[\"3\", \"1/2\"]"), 0);
  EXPECT_EQ(score("\\boxed{[1,2]}", "[1,2]"), 1);
}

TEST(MathReward, ReadsTruthsAsDataSetsWriteThem) {
  EXPECT_EQ(score("\\boxed{\\frac{3}{4}}", "We get $\\boxed{\\frac34}$."), 1);  // MATH
  EXPECT_EQ(score("\\boxed{72}", "48/2 = <<48/2=24>>24 clips.\n#### 72"), 1);   // GSM8K
  EXPECT_EQ(score("\\boxed{\\sqrt{12}}", "2\\sqrt{3}"), 1);                     // DeepScaleR
  EXPECT_EQ(score("Answer: 34", "34"), 1);                                      // DAPO
  EXPECT_EQ(score("\\boxed{5}", "The answer is 5."), 1);
  EXPECT_EQ(score("\\boxed{2,3}", "\\boxed{3} and \\boxed{2}"), 1);
  EXPECT_EQ(score("\\boxed{3}", "\\boxed{3} and \\boxed{2}"), 0);
}

TEST(MathReward, OptionsChangeTheVerdictAsDocumented) {
  EXPECT_EQ(score("\\boxed{0.33}", "\\frac{1}{3}"), 0);
  EXPECT_EQ(score("\\boxed{0.33}", "\\frac{1}{3}", {{"digits", 2}}), 1);
  EXPECT_EQ(score("\\boxed{[1,2]}", "(1,2)"), 0);
  EXPECT_EQ(score("\\boxed{[1,2]}", "(1,2)", {{"strict", false}}), 1);
  EXPECT_EQ(score("\\boxed{1<x<2}", "(1,2)"), 0);
  EXPECT_EQ(score("\\boxed{1<x<2}", "(1,2)", {{"set_relation", true}}), 1);
  EXPECT_EQ(score("\\boxed{9}", "9\\%"), 1);
  EXPECT_EQ(score("\\boxed{9}", "9\\%", {{"bare_percent", false}}), 0);
  EXPECT_EQ(score("\\boxed{5\\text{ m}}", "5\\text{ cm}"), 0);
  EXPECT_EQ(score("\\boxed{5\\text{ m}}", "5\\text{ cm}", {{"ignore_units", true}}), 1);
  EXPECT_EQ(score("\\boxed{x}", "\\sqrt{x^2}"), 0);
  EXPECT_EQ(score("\\boxed{x}", "\\sqrt{x^2}", {{"positive", true}}), 1);
}

TEST(MathReward, EmptyTruthIsAnErrorNotAScore) {
  EXPECT_EQ(judge("\\boxed{42}", "").status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(judge("\\boxed{42}", "\\boxed{}").status().code(), StatusCode::invalid_argument);
}

TEST(MathReward, UnknownOptionIsNamed) {
  const auto reward = make_reward({.type = "math", .options = {{"last_nomber", true}}});
  ASSERT_FALSE(reward.ok());
  EXPECT_NE(reward.status().message().find("last_nomber"), std::string::npos);
  for (const Json& bad : {Json{{"digits", 16}}, Json{{"digits", -1}}, Json{{"symbolic_seconds", 0}},
                          Json{{"symbolic_megabytes", 1}}, Json{{"strict", "yes"}}}) {
    const auto refused = make_reward({.type = "math", .options = bad});
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_NE(refused.status().message().find(bad.begin().key()), std::string::npos);
  }
}

// ---- bounded work -------------------------------------------------------------------------------

std::string repeat(const std::string& piece, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}

TEST(MathReward, AbsurdInputsAreJudgedInBoundedTime) {
  const std::string digits(100000, '7');
  const std::vector<std::string> responses = {
      "\\boxed{9^9^9}",
      "\\boxed{9^{9^{9^9}}}",
      "\\boxed{" + digits + "}",
      "\\boxed{0." + digits + "}",
      "\\boxed{1e999999999}",
      "\\boxed{1e-9999}",
      "\\boxed{" + repeat("9999^9999*", 150) + "1}",
      "\\boxed{" + repeat("9999^999+", 200) + "1}",
      "\\boxed{" + repeat("(", 50000) + "1" + repeat(")", 50000) + "}",
      "\\boxed{" + repeat("-", 100000) + "1}",
      "\\boxed{" + repeat("\\frac{1}{", 20000) + "1" + repeat("}", 20000) + "}",
      repeat("\\boxed{", 20000),
      repeat("\\boxed{", 20000) + "1" + repeat("}", 20000),
      repeat("\\boxed{1} ", 20000),
      repeat("{", 100000),
      repeat("the answer is ", 20000),
      repeat("answer ", 20000),
      repeat("<answer>", 20000),
      repeat("</answer>", 20000),
      repeat("$", 100000),
      repeat("\\", 100001),
      repeat("1,", 50000),
      "\\boxed{" + repeat("1,", 2000) + "1}",
      "\\boxed{" + repeat("((1,2),", 500) + "}",
      "\\boxed{" + repeat("x=", 1000) + "1}",
      repeat("\xff\xfe", 50000),
      repeat("5 apples ", 20000),
  };
  for (const auto& response : responses) {
    for (const auto& truth : {std::string("7"), digits, std::string("1,2,3")}) {
      // processor time: other processes may use the machine
      const std::clock_t start = std::clock();
      EXPECT_EQ(score(response, truth),
                response.find("{" + truth + "}") != std::string::npos ? 1 : 0)
          << response.substr(0, 60);
      EXPECT_LT(cpu_seconds(start), 2.0) << response.substr(0, 60);
    }
  }
}

}  // namespace
}  // namespace longshot::reward
