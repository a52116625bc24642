#include "reward/code/code.h"

#include <gtest/gtest.h>

#include "net/testing.h"

namespace longshot::reward {
namespace {

TEST(CodeReward, OptionsAreChecked) {
  const auto why = [](const Json& options) { return make_code(options).status().message(); };
  EXPECT_NE(why(Json::object()).find("longshot sandbox"), std::string::npos);
  EXPECT_NE(why({{"url", "ftp://x"}}).find("ftp://x"), std::string::npos);
  EXPECT_NE(why({{"url", Json::array()}}).find("empty"), std::string::npos);
  EXPECT_NE(why({{"url", "http://127.0.0.1:1"}, {"colour", 1}}).find("colour"), std::string::npos);
}

using net::FakeReply;

struct FakeSandbox : net::FakeService {
  explicit FakeSandbox(std::vector<FakeReply> replies)
      : net::FakeService("/run_tests", std::move(replies)) {}
  Json last() { return requests().back(); }
};

const char* const kPassed = R"j({"passed": true})j";
const char* const kFailed = R"j({"passed": false})j";
const char* const kFault = R"j({"passed": null, "status": "SandboxError"})j";

Result<Score> judge(const Json& url, double seconds = 20,
                    const std::string& completion = "```python\nprint(1)\n```",
                    const std::string& truth = R"j({"inputs": [""], "outputs": ["1"]})j") {
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
  ASSERT_TRUE(judge(sandbox.url(), 20, "```cpp\nx\n```", R"j({"test": "pass"})j").ok());
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

TEST(CodeReward, ItsTimeGrowsWithTheSuite) {
  const auto seconds = [](const Json& options, const char* truth) {
    const auto reward = make_code(
        options, [](const Json&, Deadline) { return true; }, Patience{3, 1});
    Question question;
    question.ground_truth = truth;
    return (*reward)->max_seconds(question, 10);
  };
  const char* const kTwo = R"j({"inputs": ["", ""], "outputs": ["1", "1"]})j";
  const double base = 10 + 3 * 20 + 1;  // the timeout and the compiler's share
  EXPECT_EQ(seconds({{"run_timeout", 4}}, kTwo), base + 2 * (3 * 4 + 1));
  EXPECT_EQ(seconds({{"limits", {{"wall_seconds", 30}}}}, kTwo), base + 2 * 30);
  EXPECT_EQ(seconds({{"run_timeout", 4}}, R"j({"test": "f()"})j"), base + 3 * 4 + 1);
  EXPECT_EQ(seconds({{"run_timeout", 4}}, "no ground truth"), 10);
}

TEST(CodeReward, DefaultsGiveWayToTheRow) {
  Json seen;
  const auto reward =
      make_code({{"limits", {{"output_bytes", 9}, {"inodes", 99}}}, {"tolerance", 0.5}},
                [&](const Json& request, Deadline) -> Result<bool> {
                  seen = request;
                  return true;
                });
  Question question;
  question.completion = "```python\nx\n```";
  const auto ask = [&](const char* truth) {
    question.ground_truth = truth;
    EXPECT_TRUE((*reward)->judge(question, Deadline::after_seconds(20)).ok());
    return seen;
  };
  const Json plain = ask(R"j({"inputs": [""], "outputs": ["1"]})j");
  EXPECT_EQ(plain["float_tolerance"], 0.5);
  EXPECT_EQ(plain["preamble"], false);
  EXPECT_EQ(ask(R"j({"test": "assert f(1)"})j")["preamble"], true);
  EXPECT_EQ(plain["limits"], (Json{{"output_bytes", 9}, {"inodes", 99}}));
  const Json own = ask(R"j({"inputs": [[1]], "outputs": ["1"], "fn_name": "f", "tolerance": 0.1,
                           "limits": {"output_bytes": 7}})j");
  EXPECT_EQ(own["tolerance"], 0.1);
  EXPECT_FALSE(own.contains("float_tolerance"));
  EXPECT_EQ(own["preamble"], true);
  EXPECT_EQ(own["limits"], (Json{{"output_bytes", 7}, {"inodes", 99}}));
  EXPECT_FALSE(ask(R"j({"inputs": [""], "outputs": ["1"], "compare": "exact"})j")
                   .contains("float_tolerance"));
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
    question.ground_truth = R"j({"inputs": [""], "outputs": ["1"]})j";
    return (*reward)->judge(question, Deadline::after_seconds(20));
  };
  EXPECT_EQ(ask("wrong\n")->value, 0);
  EXPECT_EQ(ask("fault\n").status().code(), StatusCode::unavailable);
  EXPECT_EQ(ask("right\n")->value, 1);
  EXPECT_EQ(seen["language"], "cpp");
  EXPECT_EQ(seen["tests"], Json::parse(R"j([{"input": "", "output": "1"}])j"));
  EXPECT_FALSE(make_code({{"url", "http://x"}}, run).ok());
}

TEST(CodeReward, WhatTheServiceRefusesIsAnErrorAtOnce) {
  FakeSandbox sandbox({{400, R"j({"error": {"message": "no such language"}})j"}});
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
  question.ground_truth = R"j({"inputs": [""], "outputs": ["1"]})j";
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ((*reward)->judge(question, Deadline::after_seconds(20))->value, 1);
  EXPECT_GE(a.requests().size(), 2u);
  EXPECT_GE(b.requests().size(), 2u);
}

}  // namespace
}  // namespace longshot::reward
