#include "reward/judge/judge.h"

#include <gtest/gtest.h>

#include "net/testing.h"

namespace longshot::reward {
namespace {

using net::FakeReply;

struct FakeJudge : net::FakeService {
  explicit FakeJudge(std::vector<FakeReply> replies)
      : net::FakeService("/v1/chat/completions", std::move(replies)) {}
};

// A reply with one choice for each text.
FakeReply says(const std::vector<std::string>& texts, double seconds = 0) {
  Json choices = Json::array();
  for (const std::string& text : texts)
    choices.push_back(Json{{"message", Json{{"role", "assistant"}, {"content", text}}}});
  return {200, Json{{"choices", choices}}.dump(), seconds};
}

const char* const kYes = "5 is 5. {\"correct\": true}";
const char* const kNo = "4 is not 5. {\"correct\": false}";
const char* const kMalformed = "I think it is right.";

Question question() {
  Question q;
  q.prompt = "2 + 3 = ?";
  q.ground_truth = "5";
  q.completion = "It is 5.";
  return q;
}

Result<Score> judge(const FakeJudge& server, Json options = Json::object(), double seconds = 20) {
  options["url"] = server.url();
  const auto reward = make_judge(options);
  if (!reward.ok()) return reward.status();
  return (*reward)->judge(question(), Deadline::after_seconds(seconds));
}

TEST(JudgeReward, TheVerdictDecides) {
  FakeJudge server({says({kYes}), says({kNo})});
  const auto yes = judge(server), no = judge(server);
  ASSERT_TRUE(yes.ok() && no.ok()) << yes.status().message();
  EXPECT_EQ(yes->value, 1);
  EXPECT_TRUE(yes->correct);
  EXPECT_EQ(no->value, 0);
  EXPECT_FALSE(no->correct);
  const Json request = server.requests()[0];
  const std::string asked = request["messages"][0]["content"];
  for (const char* part : {"2 + 3 = ?", "It is 5.", "Reference answer:\n5"})
    EXPECT_NE(asked.find(part), std::string::npos) << part;
  EXPECT_FALSE(request.contains("n"));  // 1 is the default
  EXPECT_FALSE(request.contains("model"));
}

// The request to the judge about an answer to the prompt, with the default form.
std::string asked_about(const data::Prompt& prompt) {
  FakeJudge server({says({kYes})});
  RewardOptions options;
  options.rewards =
      *parse_reward_list(Json::array({Json{{"type", "judge"}, {"url", server.url()}}}));
  const auto stage = RewardStage::create(options);
  data::Sample sample;
  sample.text = "It is 5.";
  sample.finish = data::FinishReason::stop;
  EXPECT_TRUE((*stage)->judge({&prompt}, {&sample})[0].scored);
  return server.requests()[0]["messages"][0]["content"];
}

TEST(JudgeReward, SeesTheWholeConversation) {
  data::Prompt prompt;
  prompt.ground_truth = "5";
  prompt.messages = {{"system", "Answer with a sentence."},
                     {"user", "Take 2."},
                     {"assistant", "I have 2."},
                     {"user", "Add 3."}};
  const std::string conversation =
      "system:\nAnswer with a sentence.\n\nuser:\nTake 2.\n\nassistant:\nI have 2.\n\nuser:\nAdd "
      "3.";
  EXPECT_EQ(asked_about(prompt), judge_prompt(kJudgePrompt, {conversation, "5", "It is 5."}));
}

TEST(JudgeReward, ASingleQuestionStandsAsItIs) {
  const std::string expected =
      "Judge whether a response answers a question correctly.\n\nQuestion:\n2 + 3 = ?\n\n"
      "Reference answer:\n5\n\nResponse:\nIt is 5.\n\nWork out step by step";
  data::Prompt chat, text;
  chat.ground_truth = text.ground_truth = "5";
  chat.messages = {{"user", "2 + 3 = ?"}};
  text.text = "2 + 3 = ?";
  for (const data::Prompt* prompt : {&chat, &text})
    EXPECT_EQ(asked_about(*prompt).substr(0, expected.size()), expected);
}

TEST(JudgeReward, OptionsReachTheService) {
  FakeJudge server({says({kYes, kNo, kYes})});
  const auto score = judge(server, {{"votes", 3},
                                    {"model", "rm"},
                                    {"prompt", "{question}{response}"},
                                    {"max_tokens", 77},
                                    {"temperature", 0.25}});
  ASSERT_TRUE(score.ok()) << score.status().message();
  EXPECT_TRUE(score->correct);
  const Json request = server.requests()[0];
  EXPECT_EQ(request["messages"][0]["content"], "2 + 3 = ?It is 5.");
  EXPECT_EQ(request["model"], "rm");
  EXPECT_EQ(request["n"], 3);
  EXPECT_EQ(request["max_tokens"], 77);
  EXPECT_EQ(request["temperature"], 0.25);
}

TEST(JudgeReward, AMalformedVerdictIsAskedForAgainWithAnotherSeed) {
  FakeJudge server({says({kMalformed}), says({""}), says({kNo})});
  const auto score = judge(server);
  ASSERT_TRUE(score.ok()) << score.status().message();
  EXPECT_FALSE(score->correct);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_NE(requests[0]["seed"], requests[1]["seed"]);
  EXPECT_NE(requests[1]["seed"], requests[2]["seed"]);
}

TEST(JudgeReward, MalformedVerdictsThatStayAreAnErrorAndNeverAZero) {
  FakeJudge server({says({kMalformed})});
  const auto score = judge(server, {{"tries", 2}});
  ASSERT_FALSE(score.ok());
  EXPECT_EQ(score.status().code(), StatusCode::corrupt);
  EXPECT_NE(score.status().message().find("2 malformed"), std::string::npos);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST(JudgeReward, OnlyTheMissingVotesAreAskedForAgain) {
  FakeJudge server({says({kNo, kMalformed, kYes}), says({kNo, kYes, kYes})});
  const auto score = judge(server, {{"votes", 3}});
  ASSERT_TRUE(score.ok()) << score.status().message();
  EXPECT_FALSE(score->correct);  // no, yes, no: surplus choices do not vote
  EXPECT_EQ(server.requests()[0]["n"], 3);
  EXPECT_FALSE(server.requests()[1].contains("n"));
}

TEST(JudgeReward, AServerThatGivesOneChoiceAtATimeIsAskedForEveryVote) {
  FakeJudge server({says({kYes}), says({kNo}), says({kYes})});
  const auto score = judge(server, {{"votes", 3}, {"tries", 1}});
  ASSERT_TRUE(score.ok()) << score.status().message();
  EXPECT_TRUE(score->correct);
  EXPECT_EQ(server.requests().size(), 3u);
}

TEST(JudgeReward, AVerdictThatIsCutOffIsExplained) {
  FakeJudge server({{.body = R"({"choices": [{"message": {"content": null, "reasoning": "Let me"},
                                             "finish_reason": "length"}]})"}});
  const auto score = judge(server, {{"tries", 1}});
  EXPECT_EQ(score.status().code(), StatusCode::corrupt);
  EXPECT_NE(score.status().message().find("the reasoning used up max_tokens"), std::string::npos);
}

TEST(JudgeReward, ABrokenOrSlowServiceIsAnErrorAndNeverAZero) {
  FakeJudge broken({{.status = 500, .body = "{}"}});
  EXPECT_EQ(judge(broken, {}, 0.4).status().code(), StatusCode::unavailable);
  EXPECT_GE(broken.requests().size(), 2u);
  FakeJudge slow({says({kYes}, 1.5)});
  const Stopwatch watch;
  EXPECT_EQ(judge(slow, {}, 0.3).status().code(), StatusCode::timeout);
  EXPECT_LT(watch.seconds(), 1.2);
  FakeJudge strict({{400, R"({"error": {"message": "too long"}})"}});
  EXPECT_EQ(judge(strict).status().code(), StatusCode::invalid_argument);
  for (const char* body : {"no json", "[]", "{}", R"({"choices": []})"}) {
    FakeJudge odd({{.body = body}});
    EXPECT_EQ(judge(odd).status().code(), StatusCode::invalid_argument) << body;
  }
  FakeJudge refusing({{.status = 404, .body = R"({"error": {"message": "no model x"}})"}});
  const auto refused = judge(refusing);
  EXPECT_EQ(refused.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(refused.status().message().find("no model x"), std::string::npos);
  EXPECT_EQ(refusing.requests().size(), 1u);
}

TEST(JudgeReward, ServicesTakeTurnsAndReplaceOneAnother) {
  FakeJudge a({says({kYes})}), b({says({kYes})});
  const auto reward = make_judge(
      {{"url", {a.url() + "/v1", "http://127.0.0.1:1", b.url() + "/v1/chat/completions"}}});
  for (int i = 0; i < 6; ++i)
    EXPECT_TRUE((*reward)->judge(question(), Deadline::after_seconds(20))->correct);
  EXPECT_GE(a.requests().size(), 2u);
  EXPECT_GE(b.requests().size(), 2u);
}

TEST(JudgeReward, OptionsAreChecked) {
  const auto why = [](Json options) {
    options.emplace("url", "http://127.0.0.1:1");
    return make_judge(options).status().message();
  };
  EXPECT_NE(make_judge(Json::object()).status().message().find("longshot serve"),
            std::string::npos);
  EXPECT_NE(why({{"votes", 2}}).find("odd"), std::string::npos);
  EXPECT_NE(why({{"tries", 0}}).find("tries"), std::string::npos);
  EXPECT_NE(why({{"prompt", "is it right?"}}).find("{response}"), std::string::npos);
  EXPECT_NE(why({{"colour", 1}}).find("colour"), std::string::npos);
  EXPECT_NE(why({{"temperature", -1}}).find("temperature"), std::string::npos);
  EXPECT_EQ(why(Json::object()), "");
}

// A stage with a judge that fails excludes the sample.
TEST(JudgeReward, TheStageCountsItsFailureAsAnError) {
  FakeJudge server({says({kMalformed})});
  RewardOptions options;
  options.rewards =
      *parse_reward_list(Json::array({Json{{"type", "judge"}, {"url", server.url()}}}));
  const auto stage = RewardStage::create(options);
  ASSERT_TRUE(stage.ok()) << stage.status().message();
  data::Prompt prompt;
  prompt.text = "2 + 3 = ?";
  data::Sample sample;
  sample.text = "It is 5.";
  sample.finish = data::FinishReason::stop;
  const auto verdicts = (*stage)->judge({&prompt}, {&sample});
  EXPECT_FALSE(verdicts[0].scored);
  EXPECT_NE(verdicts[0].error.find("malformed"), std::string::npos);
  EXPECT_EQ((*stage)->take_metrics().at("reward/errors"), 1);
}

}  // namespace
}  // namespace longshot::reward
