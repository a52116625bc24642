#include <gtest/gtest.h>

#include <ctime>

#include "reward/reward.h"

namespace longshot::reward {
namespace {

double cpu_seconds(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

const char* const kTruth = R"({"numbers": [3, 7, 8, 25], "target": 24})";

Result<Score> judge(const std::string& completion, const std::string& truth, const Json& extra = {},
                    const Json& options = {}) {
  auto reward = make_reward({.type = "countdown", .options = options});
  EXPECT_TRUE(reward.ok()) << reward.status().to_string();
  Question question;
  question.completion = completion;
  question.ground_truth = truth;
  question.extra_info = extra;
  return (*reward)->judge(question, Deadline::never());
}

double score(const std::string& completion, const std::string& truth = kTruth,
             const Json& options = {}) {
  const auto result = judge(completion, truth, {}, options);
  EXPECT_TRUE(result.ok()) << result.status().to_string();
  return result.ok() ? result->value : -1;
}

TEST(Countdown, TheCompactFormAnswersAfterTheLastHash) {
  EXPECT_EQ(score("?8-7=1[1,3]no<[3,7,8,25]?3*8=24ok#3*8"), 1);
  EXPECT_EQ(score("?3*8=24ok#3+8"), 0);
  EXPECT_EQ(score("#3*8#"), 0);
}

TEST(Countdown, AcceptsRightExpressionsInEveryForm) {
  for (const char* completion :
       {"3*8", "<answer>3*8</answer>", "\\boxed{3 \\times 8}", "$3 \\cdot 8$",
        "The answer is 3 * 8.", "I try 7+8.\n<answer>8 * 3</answer>", "3*8 = 24",
        "<answer>3\u00d78 = 24</answer>", "(3)*(8)", "[3]*8", "25+7-8", "<think>3+7</think>8*3",
        "reasoning...\n\n8\u00d73", "-(-8)*3"}) {
    EXPECT_EQ(score(completion), 1) << completion;
  }
}

TEST(Countdown, UsesExactRationals) {
  const char* truth = R"({"numbers": [3, 3, 8, 8], "target": 24})";
  EXPECT_EQ(score("8/(3-8/3)", truth), 1);
  EXPECT_EQ(score("\\boxed{\\frac{8}{3-\\frac{8}{3}}}", truth), 1);
  EXPECT_EQ(score("8/(3-8/3) + 0", truth), 0);
  EXPECT_EQ(score("1/3", R"({"numbers": [1, 3], "target": 0})"), 0);
}

TEST(Countdown, RejectsWrongOnes) {
  for (const char* completion : {"",
                                 "24",
                                 "<answer>24</answer>",
                                 "3*7",
                                 "3*8*1",
                                 "3*8+0",
                                 "8+8+8",
                                 "3*8 = 25",
                                 "3*8 = 24 = 24",
                                 "12*2",
                                 "25-1",
                                 "3*8 or 25+7-8",
                                 "\\boxed{3*8} or \\boxed{25+7-8}",
                                 "3 8",
                                 "38-14",
                                 "3*8)",
                                 "(3*8",
                                 "3**8",
                                 "3^8",
                                 "3*8*25/25",
                                 "8*3*7/7/25*25",
                                 "2*12",
                                 "24/1",
                                 "3*8;1",
                                 "eval(3*8)",
                                 "__import__('os')",
                                 "3*8//1",
                                 "3.0*8",
                                 "3e0*8",
                                 "0x3*8",
                                 "3*8 # yes",
                                 "25/0",
                                 "+",
                                 "()",
                                 "3*",
                                 "*3",
                                 "7-8+25 because",
                                 "3*8\nI am not sure"}) {
    EXPECT_EQ(score(completion), 0) << completion;
  }
}

TEST(Countdown, EachNumberAtMostOnceOrExactlyOnce) {
  EXPECT_EQ(score("8*3"), 1);
  EXPECT_EQ(score("8*3", kTruth, {{"use_all", true}}), 0);
  EXPECT_EQ(score("3+8*7-25", R"({"numbers": [3, 7, 8, 25], "target": 34})", {{"use_all", true}}),
            1);
  EXPECT_EQ(score("8*3", R"({"numbers": [3, 8, 8], "target": 24})"), 1);
  EXPECT_EQ(score("8+8+8", R"({"numbers": [3, 8, 8], "target": 24})"), 0);
}

TEST(Countdown, ReadsTheTaskFromExtraInfoAndReasoningGym) {
  const Json task = {{"numbers", {94, 4, 61, 6}}, {"target", 309}};
  EXPECT_EQ(judge("94*4 - 61 - 6", "94*4 - 61 - 6", task)->value, 1);
  EXPECT_EQ(judge("94*4 - 61 - 6", "", {{"metadata", task}})->value, 1);
  EXPECT_EQ(judge("94*4 - 61", "", {{"metadata", task}})->value, 0);
  EXPECT_EQ(judge("94*4 - 61 - 6", "", {{"metadata", dump_json(task)}})->value, 1);
  EXPECT_FALSE(judge("94*4 - 61 - 6", "", {{"metadata", "{"}}).ok());
  EXPECT_EQ(judge("3*8", "", {{"nums", {3, 8}}, {"target", 24}})->value, 1);
}

TEST(Countdown, MissingTaskIsAnError) {
  EXPECT_EQ(judge("3*8", "24").status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(judge("3*8", "{\"numbers\": [3").status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(judge("3*8", R"({"numbers": [3, "8"], "target": 24})").status().code(),
            StatusCode::invalid_argument);
}

TEST(Countdown, AbsurdInputsAreBounded) {
  std::string product = "999999999";
  for (int i = 0; i < 180; ++i) product += "*999999999";
  const std::clock_t start = std::clock();  // processor time: other processes may use the machine
  EXPECT_EQ(score(product), 0);
  EXPECT_EQ(score(std::string(100000, '(')), 0);
  EXPECT_EQ(score(std::string(1900, '(') + "1"), 0);
  EXPECT_EQ(score(std::string(1900, '-') + "1"), 0);
  EXPECT_EQ(score(std::string(100000, '9')), 0);
  EXPECT_LT(cpu_seconds(start), 2.0);
}

}  // namespace
}  // namespace longshot::reward
