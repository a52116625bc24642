#include <gtest/gtest.h>

#include "reward/reward.h"

namespace longshot::reward {
namespace {

const Json kPlaces = {{"choices", {"Paris", "London", "Rome", "a dog"}}};

Result<Score> judge(const std::string& completion, const std::string& truth, const Json& extra = {},
                    const Json& options = {}) {
  auto reward =
      make_reward({.type = "choice", .weight = 1, .decides_correct = true, .options = options});
  EXPECT_TRUE(reward.ok()) << reward.status().to_string();
  Question question;
  question.completion = completion;
  question.ground_truth = truth;
  question.extra_info = extra;
  return (*reward)->judge(question, Deadline::never());
}

double score(const std::string& completion, const std::string& truth, const Json& extra = {}) {
  const auto result = judge(completion, truth, extra);
  EXPECT_TRUE(result.ok()) << result.status().to_string();
  return result.ok() ? result->value : -1;
}

TEST(Choice, AcceptsTheLetterInEveryForm) {
  for (const char* completion : {"C",
                                 "(C)",
                                 "[C]",
                                 "C.",
                                 "C)",
                                 "c",
                                 "(c)",
                                 "**C**",
                                 "\\boxed{C}",
                                 "\\boxed{\\text{C}}",
                                 "\\boxed{(C)}",
                                 "\\boxed{\\textbf{(C)}}",
                                 "The answer is C.",
                                 "The answer is (C).",
                                 "The answer is: **C**",
                                 "Answer: C",
                                 "**Answer:** C",
                                 "<answer>C</answer>",
                                 "<answer>\\boxed{C}</answer>",
                                 "#### C",
                                 "I think a lot.\n\nC",
                                 "The answer is C. Rome",
                                 "The answer is C) Rome",
                                 "The answer is (C) Rome.",
                                 "So the correct option is C.",
                                 "I choose C.",
                                 "<think>A or B</think>C",
                                 "The answer is option C.",
                                 "The answer is C. A and B are cities of other countries.",
                                 "The answer is C, because B is wrong.",
                                 "The answer is C. It is a city or a town.",
                                 "Therefore the correct choice is (C).",
                                 "Answer - C",
                                 "C (Rome)",
                                 "C!",
                                 "'C'",
                                 "`C`",
                                 "=> C",
                                 "∴ C",
                                 "It's C.",
                                 "So C it is.",
                                 "That leaves C.",
                                 "答案：C",
                                 "答案是 C。",
                                 "选择C",
                                 "C\n\nExplanation: A is Paris, which is elsewhere.",
                                 "C. Rome\n\nA, B and D are wrong.",
                                 "(C)\n\nRome is the capital of Italy."}) {
    EXPECT_EQ(score(completion, "C"), 1) << completion;
  }
}

TEST(Choice, RejectsOtherLettersAndHedges) {
  for (const char* completion : {"",
                                 "B",
                                 "\\boxed{B}",
                                 "The answer is B.",
                                 "C or B",
                                 "B or C",
                                 "The answer is C or B.",
                                 "(B) or (C)",
                                 "\\boxed{C} or \\boxed{B}",
                                 "\\boxed{B, C}",
                                 "\\boxed{BC}",
                                 "The answer is C. Rome or B. London",
                                 "The answer is C) Rome, or (B) London.",
                                 "Answer: C. It may be Rome or B",
                                 "The answer is C, D.",
                                 "Cat",
                                 "The answer is Carbon",
                                 "The answer is not C.",
                                 "neither C",
                                 "C B",
                                 "A B C D",
                                 "all of them",
                                 "K",
                                 "3",
                                 "I cannot choose.",
                                 "C\n\nWait, it is B.",
                                 "C\n\nActually no.",
                                 "C. Rome\nB. London\nA. Paris",
                                 "C\n\nSo I choose B.",
                                 "C (A or C)",
                                 "c (third)",
                                 "C?",
                                 "It's C or B.",
                                 "答案不是 C。",
                                 "C\nD"}) {
    EXPECT_EQ(score(completion, "C"), 0) << completion;
  }
  EXPECT_EQ(score("A dog is what I see", "A"), 0);
}

TEST(Choice, AcceptsTheOptionsText) {
  EXPECT_EQ(score("The answer is Rome.", "C", kPlaces), 1);
  EXPECT_EQ(score("\\boxed{\\text{rome}}", "C", kPlaces), 1);
  EXPECT_EQ(score("The answer is Paris.", "C", kPlaces), 0);
  EXPECT_EQ(score("\\boxed{a dog}", "D", kPlaces), 1);
  EXPECT_EQ(score("\\boxed{a dog}", "A", kPlaces), 0);
  EXPECT_EQ(score("C. Rome", "C", kPlaces), 1);
  EXPECT_EQ(score("C. London", "C", kPlaces), 0);
  EXPECT_EQ(score("\\boxed{4}", "B", {{"options", {{"A", "3"}, {"B", "4"}}}}), 1);
  EXPECT_EQ(score("\\boxed{4}", "4", {{"options", {{"A", "3"}, {"B", "4"}}}}), 1);
}

TEST(Choice, TruthMayBeALetterOrAnOptionInAnyForm) {
  EXPECT_EQ(score("C", "(C)"), 1);
  EXPECT_EQ(score("C", "C. Rome"), 1);
  EXPECT_EQ(score("C", "\\boxed{C}"), 1);
  EXPECT_EQ(score("C", "Rome", kPlaces), 1);
  EXPECT_EQ(judge("C", "Rome").status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(judge("C", "").status().code(), StatusCode::invalid_argument);
}

TEST(Choice, LettersAreAnOption) {
  EXPECT_EQ(judge("D", "D", {}, {{"letters", "ABCD"}})->value, 1);
  EXPECT_EQ(judge("E", "E", {}, {{"letters", "ABCD"}}).status().code(),
            StatusCode::invalid_argument);
  EXPECT_FALSE(
      make_reward(
          {.type = "choice", .weight = 1, .decides_correct = true, .options = {{"letters", "12"}}})
          .ok());
}

TEST(Auto, TestsOfAProgramAreNotComparedWithIt) {
  auto reward = make_reward({.type = "auto", .weight = 1, .decides_correct = true, .options = {}});
  const auto judge = [&](const Json& truth) {
    Question question;
    question.data_source = "taco";
    question.completion = "print(1)";
    question.ground_truth = truth.is_string() ? truth.get<std::string>() : truth.dump();
    if (!truth.is_string()) question.ground_truth_json = truth;
    return (*reward)->judge(question, Deadline::never()).status();
  };
  const Json tests = {{"inputs", {""}}, {"outputs", {"1\n"}}};
  const Json assertions = {"assert f(1) == 2"};
  for (const Json& truth : {tests, Json(tests.dump()), assertions, Json(assertions.dump())}) {
    EXPECT_EQ(judge(truth).code(), StatusCode::invalid_argument) << truth;
    EXPECT_NE(judge(truth).message().find("\"code\""), std::string::npos);
  }
  for (const Json& answer : {Json("{1, 2}"), Json("[1, 2]"), Json({"1", "one"}), Json("{}")})
    EXPECT_TRUE(judge(answer).ok()) << judge(answer).message();
}

TEST(Auto, ChoosesByDataSource) {
  auto reward = make_reward({.type = "auto", .weight = 1, .decides_correct = true, .options = {}});
  ASSERT_TRUE(reward.ok());
  const auto score_of = [&](const std::string& source, const std::string& completion,
                            const std::string& truth, const Json& extra = {}) {
    Question question;
    question.data_source = source;
    question.completion = completion;
    question.ground_truth = truth;
    question.extra_info = extra;
    const auto result = (*reward)->judge(question, Deadline::never());
    EXPECT_TRUE(result.ok()) << result.status().to_string();
    return result.ok() ? result->value : -1;
  };
  EXPECT_EQ(score_of("openai/gsm8k", "#### 5", "5"), 1);
  EXPECT_EQ(score_of("", "\\boxed{5}", "5"), 1);
  EXPECT_EQ(score_of("Jiayi-Pan/Countdown-Tasks", "2*3", R"({"numbers": [2, 3], "target": 6})"), 1);
  EXPECT_EQ(score_of("reasoning_gym/countdown", "2*3", "3*2",
                     {{"metadata", {{"numbers", {2, 3}}, {"target", 6}}}}),
            1);
  EXPECT_EQ(score_of("cais/mmlu", "The answer is (B).", "B"), 1);
  EXPECT_EQ(score_of("mine", "The answer is (B).", "B", {{"choices", {"x", "y"}}}), 1);
  EXPECT_EQ(score_of("reasoning_gym/spell_backward", "I reverse it.\n\n<answer>ainomma</answer>",
                     "ainomma"),
            1);
  EXPECT_EQ(score_of("reasoning_gym/spell_backward", "ainomma", "ainomma"), 1);
  EXPECT_EQ(score_of("reasoning_gym/spell_backward", "<answer>ainom</answer>", "ainomma"), 0);
  EXPECT_EQ(score_of("reasoning_gym/chain_sum", "<answer>-4.0</answer>", "-4"), 1);
  EXPECT_EQ(score_of("reasoning_gym/mini_sudoku", "<answer>1 2\n2 1</answer>", "1 2\n2 1"), 1);
  EXPECT_EQ(score_of("reasoning_gym/mini_sudoku", "<answer>1 2\n1 2</answer>", "1 2\n2 1"), 0);
}

TEST(MakeReward, UnknownTypeListsTheKnownOnes) {
  const auto reward =
      make_reward({.type = "maths", .weight = 1, .decides_correct = true, .options = {}});
  ASSERT_FALSE(reward.ok());
  EXPECT_NE(reward.status().message().find("countdown"), std::string::npos);
}

}  // namespace
}  // namespace longshot::reward
