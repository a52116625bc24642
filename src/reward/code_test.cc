#include "reward/code.h"

#include <gtest/gtest.h>

#include "reward/fake_service.h"

namespace longshot::reward {
namespace {

TEST(CodeBlock, TheLastCompleteOneOfTheAnswerCounts) {
  const auto code = [](const char* text) {
    const auto block = last_code_block(text);
    return block ? block->language + "|" + block->code : "none";
  };
  EXPECT_EQ(code("a\n```python\nx = 1\n```\nb\n```cpp\ny\n```"), "cpp|y\n");
  EXPECT_EQ(code("```\nx\n```"), "|x\n");
  EXPECT_EQ(code("```Python  \r\nx\n```"), "python|x\n");
  EXPECT_EQ(code("  ```py\n  x\n  ```"), "py|  x\n  ");
  EXPECT_EQ(code("```py\nfirst\n```\n```py\nnever closed"), "py|first\n");
  EXPECT_EQ(code("```py\nprint('```')\n```"), "py|print('```')\n");
  EXPECT_EQ(code("<think>\n```py\ndraft\n```\n</think>\nno code"), "none");
  EXPECT_EQ(code("x = 1"), "none");
  EXPECT_EQ(code("```"), "none");
}

TEST(CodeSuite, GroundTruthsOfKnownDataSets) {
  EXPECT_EQ(*suite_of(R"({"inputs": ["1", "2"], "outputs": ["3", "4"]})"),
            Json::parse(R"({"tests": [{"input": "1", "output": "3"}, {"input": "2", "output": "4"}],
                            "stop_at_first_failure": true})"));
  EXPECT_EQ(
      (*suite_of(R"({"inputs": [[1, "a"], "[2]\n\"b\""], "outputs": [3, "[4]"], "fn_name": "f"})"))
          ["tests"],
      Json::parse(R"([{"args": [1, "a"], "value": 3}, {"args": [[2], "b"], "value": [4]}])"));
  EXPECT_EQ(*suite_of(R"({"test": "def check(f): pass", "entry_point": "g"})"),
            Json::parse(R"({"test": "def check(f): pass\ncheck(g)\n"})"));
  EXPECT_EQ(*suite_of(R"({"tests": [], "compare": "tokens"})"),
            Json::parse(R"({"tests": [], "compare": "tokens"})"));
}

TEST(CodeSuite, AGroundTruthThatIsNoneIsAnError) {
  for (const char* bad : {"", "42", "{}", "[1]", R"({"inputs": ["1"], "outputs": []})",
                          R"({"inputs": [], "outputs": []})",
                          R"({"inputs": ["{"], "outputs": ["1"], "fn_name": "f"})"})
    EXPECT_FALSE(suite_of(bad).ok()) << bad;
}

TEST(CodeReward, OptionsAreChecked) {
  const auto why = [](const Json& options) { return make_code(options).status().message(); };
  EXPECT_NE(why(Json::object()).find("longshot sandbox"), std::string::npos);
  EXPECT_NE(why({{"url", "ftp://x"}}).find("ftp://x"), std::string::npos);
  EXPECT_NE(why({{"url", Json::array()}}).find("empty"), std::string::npos);
  EXPECT_NE(why({{"url", "http://127.0.0.1:1"}, {"colour", 1}}).find("colour"), std::string::npos);
}

struct FakeSandbox : FakeService {
  explicit FakeSandbox(std::vector<FakeReply> replies)
      : FakeService("/run_tests", std::move(replies)) {}
  Json last() { return requests().back(); }
};

const char* const kPassed = R"({"passed": true})";
const char* const kFailed = R"({"passed": false})";
const char* const kFault = R"({"passed": null, "status": "SandboxError"})";

Result<Score> judge(const Json& url, double seconds = 20,
                    const std::string& completion = "```python\nprint(1)\n```",
                    const std::string& truth = R"({"inputs": [""], "outputs": ["1"]})") {
  const auto reward = make_code({{"url", url}, {"run_timeout", 0.01}});
  Question question;
  question.completion = completion;
  question.ground_truth = truth;
  return (*reward)->judge(question, Deadline::after_seconds(seconds));
}

TEST(CodeReward, PassesAndFails) {
  FakeSandbox sandbox({{200, kPassed}, {200, kFailed}});
  const auto passed = judge(sandbox.url());
  ASSERT_TRUE(passed.ok()) << passed.status().message();
  EXPECT_EQ(passed->value, 1);
  EXPECT_TRUE(passed->correct);
  EXPECT_EQ(passed->answer, "print(1)\n");
  EXPECT_EQ(sandbox.last()["code"], "print(1)\n");
  EXPECT_EQ(sandbox.last()["language"], "python");
  EXPECT_EQ(judge(sandbox.url())->value, 0);
}

TEST(CodeReward, ABlocksLanguageCountsForStreamsOnly) {
  FakeSandbox sandbox({{200, kPassed}});
  ASSERT_TRUE(judge(sandbox.url(), 20, "```cpp\nx\n```").ok());
  EXPECT_EQ(sandbox.last()["language"], "cpp");
  ASSERT_TRUE(judge(sandbox.url(), 20, "```cppp\nx\n```").ok());
  EXPECT_EQ(sandbox.last()["language"], "python");
  ASSERT_TRUE(judge(sandbox.url(), 20, "```cpp\nx\n```", R"({"test": "pass"})").ok());
  EXPECT_EQ(sandbox.last()["language"], "python");
}

TEST(CodeReward, NoCodeIsWrongWithoutAsking) {
  FakeSandbox sandbox({{200, kPassed}});
  EXPECT_EQ(judge(sandbox.url(), 20, "I do not know")->value, 0);
  EXPECT_EQ(sandbox.requests().size(), 0u);
}

TEST(CodeReward, FaultsAndFullQueuesAreAskedAgain) {
  FakeSandbox sandbox({{200, kFault}, {429, "{}"}, {503, "{}"}, {200, kPassed}});
  EXPECT_EQ(judge(sandbox.url())->value, 1);
  EXPECT_EQ(sandbox.requests().size(), 4u);
}

TEST(CodeReward, AFaultThatStaysIsAnErrorAndNeverAZero) {
  FakeSandbox sandbox({{200, kFault}});
  const auto score = judge(sandbox.url(), 1.5);
  ASSERT_FALSE(score.ok());
  EXPECT_TRUE(score.status().code() == StatusCode::unavailable ||
              score.status().code() == StatusCode::timeout);
}

TEST(CodeReward, ADeadlineThatAnEndlessProgramWouldMissIsAnError) {
  const auto reward = make_code({{"run_timeout", 4}}, [](const Json&, Deadline) { return true; });
  Question question;
  question.completion = "```\nx\n```";
  question.ground_truth = R"({"inputs": [""], "outputs": ["1"]})";
  EXPECT_TRUE((*reward)->judge(question, Deadline::after_seconds(9)).ok());
  const auto refused = (*reward)->judge(question, Deadline::after_seconds(8));
  EXPECT_EQ(refused.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(refused.status().message().find("run_timeout=4"), std::string::npos);
}

TEST(CodeReward, ARunnerTakesTheServicesPlace) {
  Json seen;
  const TestRunner run = [&](const Json& request, Deadline) -> Result<bool> {
    seen = request;
    if (request["code"] == "fault\n") return unavailable("fault");
    return request["code"] == "right\n";
  };
  const auto reward = make_code({{"language", "cpp"}}, run);
  ASSERT_TRUE(reward.ok()) << reward.status().message();
  const auto ask = [&](const std::string& code) {
    Question question;
    question.completion = "```\n" + code + "```";
    question.ground_truth = R"({"inputs": [""], "outputs": ["1"]})";
    return (*reward)->judge(question, Deadline::after_seconds(20));
  };
  EXPECT_EQ(ask("wrong\n")->value, 0);
  EXPECT_EQ(ask("fault\n").status().code(), StatusCode::unavailable);
  EXPECT_EQ(ask("right\n")->value, 1);
  EXPECT_EQ(seen["language"], "cpp");
  EXPECT_EQ(seen["tests"], Json::parse(R"([{"input": "", "output": "1"}])"));
  EXPECT_FALSE(make_code({{"url", "http://x"}}, run).ok());
}

TEST(CodeReward, WhatTheServiceRefusesIsAnErrorAtOnce) {
  FakeSandbox sandbox({{400, R"({"error": {"message": "no such language"}})"}});
  const auto score = judge(sandbox.url());
  EXPECT_EQ(score.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(score.status().message().find("no such language"), std::string::npos);
  EXPECT_EQ(sandbox.requests().size(), 1u);
}

TEST(CodeReward, ServicesTakeTurnsAndReplaceOneAnother) {
  FakeSandbox a({{200, kPassed}}), b({{200, kPassed}});
  const auto reward = make_code({{"url", {a.url(), "http://127.0.0.1:1", b.url()}}});
  Question question;
  question.completion = "```\nx\n```";
  question.ground_truth = R"({"inputs": [""], "outputs": ["1"]})";
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ((*reward)->judge(question, Deadline::after_seconds(20))->value, 1);
  EXPECT_GE(a.requests().size(), 2u);
  EXPECT_GE(b.requests().size(), 2u);
}

}  // namespace
}  // namespace longshot::reward
