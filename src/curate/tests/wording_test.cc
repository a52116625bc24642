#include "curate/tests/wording.h"

#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

TEST(Wording, StatementsThatAcceptSeveralOutputsAreFound) {
  for (const char* statement : {
           "If there are multiple answers, print any of them.",
           "Output one of them if several exist.",
           "Print the indices of two such numbers. You may return the answer in any order.",
           "Find any valid arrangement of the books.",
           "Print a permutation p. If there is more than one solution, any is fine: print any "
           "solution.",
           "Your answer is accepted if its absolute or relative error does not exceed 10^-6.",
           "The answer will be considered correct if it differs by at most 1e-9.",
           "If there exist\nseveral optimal ways, choose any.",
           "Multiple correct answers are accepted.",
           "For each test print YES or NO. You can print each letter in any case (upper or lower).",
           "This problem has a special judge.",
           "This is an interactive problem.",
           "PRINT ANY POSSIBLE SEQUENCE.",
       })
    EXPECT_TRUE(special_judge_words(statement).has_value()) << statement;
}

TEST(Wording, OrdinaryStatementsAreNot) {
  for (const char* statement : {
           "The edges are given in any order. Print the length of the shortest path.",
           "In one move you may take any number of stones from one pile. Print who wins.",
           "Find the number of ways to choose any of the paths. Print it modulo 10^9+7.",
           "If there are several queries, answer each on a line of its own.",
           "Print the sum of the two numbers.",
           "Print the absolute difference of the two sums.",
           "Find the largest profit over any possible choice of days.",
           "Print -1 if there is no answer. Any two cities are joined by at most one road.",
           "Print the answer with exactly two decimals. The error log has n lines.",
           "The absolute value of each number is at most 1000. Print the largest difference.",
           "Print the lexicographically smallest string. There are several test cases in one "
           "input.",
           "One of the players makes the first move. Print his name.",
       })
    EXPECT_EQ(special_judge_words(statement).value_or(""), "") << statement;
}

TEST(Wording, TheWordsAreThoseOfTheStatement) {
  EXPECT_EQ(special_judge_words("Given n, please Print  any of them. Thanks."),
            "Print  any of them");
  EXPECT_FALSE(special_judge_words("Print n. It is one of those problems.").has_value());
  EXPECT_FALSE(special_judge_words("").has_value());
}

}  // namespace
}  // namespace longshot::curate
