#include "reward/judge/votes.h"

#include <gtest/gtest.h>

namespace longshot::reward {
namespace {

// "yes", "no", or the error.
std::string read(const std::string& text) {
  const auto vote = parse_vote(text);
  if (!vote.ok()) return vote.status().message();
  return vote->correct ? "yes" : "no";
}

TEST(Verdict, OneObjectAtTheEndCounts) {
  EXPECT_EQ(read(R"({"correct": true})"), "yes");
  EXPECT_EQ(read("3 + 4 is 7, not 8.\n{\"correct\": false}\n \t\n"), "no");
  EXPECT_EQ(read(R"(\frac{1}{2} = 0.5 {"a": 1} so {"correct":true})"), "yes");
  EXPECT_EQ(read(R"(... {"reason": "it says {x} and \"y\"", "correct": false})"), "no");
  const auto full = parse_vote(R"(x {"correct": true, "score": 0.75, "reason": "same value"})");
  EXPECT_EQ(full->reason, "same value");
  EXPECT_EQ(full->score, 0.75);
  EXPECT_FALSE(parse_vote(R"({"correct": true})")->score.has_value());
}

TEST(Verdict, AnythingElseIsMalformed) {
  for (const char* bad : {"",
                          "yes",
                          "true",
                          R"({"correct": true} I am sure.)",
                          R"({"correct": true)",
                          R"(["correct"])",
                          R"({"correct": "true"})",
                          R"({"correct": 1})",
                          R"({"correct": null})",
                          R"({})",
                          R"({"answer": true})",
                          R"({"correct": true, "score": 2})",
                          R"({"correct": true, "score": "1"})",
                          R"({"correct": true, "reason": 3})",
                          R"({"correct": true, "sure": true})",
                          R"({"correct": false} no: {"correct": true})",
                          R"({"correct": true}{"correct": false})",
                          R"({"correct": true, "correct": false})",
                          R"({"x": {"correct": true}})",
                          "```json\n{\"correct\": true}\n```"}) {
    EXPECT_EQ(read(bad).rfind("malformed verdict", 0), 0u) << bad << ": " << read(bad);
    EXPECT_EQ(parse_vote(bad).status().code(), StatusCode::corrupt) << bad;
  }
  EXPECT_NE(read(R"({"reason": ")" + std::string(5000, 'x') + R"(", "correct": true})"), "yes");
}

TEST(Verdict, ThoughtsMayDraftAnother) {
  EXPECT_EQ(read(R"(<think>Say {"correct": true}? No.</think>{"correct": false})"), "no");
  EXPECT_EQ(read("[THINK]{\"correct\": true}[/THINK]\n{\"correct\": true}"), "yes");
  EXPECT_NE(read(R"(<think>It ends with {"correct": true})"), "yes") << "the thoughts do not end";
  EXPECT_NE(read(R"(<think>{"correct": true}</think>)"), "yes") << "no answer after the thoughts";
}

TEST(Verdict, LongAndNestedTextsTakeNoTime) {
  std::string deep, open(200000, '{');
  for (int i = 0; i < 20000; ++i) deep += "{\"a\":";
  EXPECT_NE(read(deep), "yes");
  EXPECT_NE(read(open), "yes");
  EXPECT_EQ(read(open + R"({"correct": true})"), "yes");
}

TEST(JudgePrompt, PlacesAreFilledOnce) {
  EXPECT_EQ(judge_prompt("{question}|{reference}|{response}|{other}|{response}", {"q", "r", "a"}),
            "q|r|a|{other}|a");
  EXPECT_EQ(judge_prompt("{reference}", {"q", "", "a"}), "(not given)");
  EXPECT_EQ(judge_prompt("{response} {question}", {"{response}", "", "{question}"}),
            "{question} {response}");
  const std::string text = judge_prompt(kJudgePrompt, {"What is 1 + 1?", "2", "It is 2."});
  for (const char* part : {"What is 1 + 1?", "It is 2.", R"({"correct": true})"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
  EXPECT_EQ(text.find("{re"), std::string::npos);
  EXPECT_TRUE(check_judge_prompt(kJudgePrompt).ok());
  EXPECT_FALSE(check_judge_prompt("{question}").ok());
}

TEST(JudgePrompt, TheQuestionIsTheWholeConversation) {
  EXPECT_EQ(question_text({}), "");
  EXPECT_EQ(question_text({{"user", "What is 1 + 1?"}}), "What is 1 + 1?");
  EXPECT_EQ(question_text({{"system", "Be short."}, {"user", "1 + 1?"}}),
            "system:\nBe short.\n\nuser:\n1 + 1?");
  EXPECT_EQ(question_text({{"user", "1 + 1?"}, {"assistant", "2"}, {"user", "And 3 more?"}}),
            "user:\n1 + 1?\n\nassistant:\n2\n\nuser:\nAnd 3 more?");
}

TEST(Votes, TheMajorityDecides) {
  Votes votes;
  votes.add({true, {}, ""});
  votes.add({false, {}, ""});
  votes.add({true, {}, ""});
  EXPECT_TRUE(votes.correct());
  EXPECT_EQ(votes.value(), 1);
  EXPECT_DOUBLE_EQ(votes.probability(), 2.0 / 3);
}

TEST(Votes, ScoresAreTheValueIfAllVerdictsHaveOne) {
  Votes votes;
  votes.add({true, 0.75, ""});
  EXPECT_EQ(votes.value(), 0.75);
  votes.add({false, 0.25, ""});
  votes.add({false, {}, ""});
  EXPECT_FALSE(votes.correct());
  EXPECT_EQ(votes.value(), 0);
  EXPECT_DOUBLE_EQ(votes.probability(), 1.0 / 3);
}

}  // namespace
}  // namespace longshot::reward
