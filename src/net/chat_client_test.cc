#include "net/chat_client.h"

#include <gtest/gtest.h>

#include "net/testing.h"

namespace longshot::net {
namespace {

struct FakeChat : FakeService {
  explicit FakeChat(std::vector<FakeReply> replies)
      : FakeService("/v1/chat/completions", std::move(replies)) {}
};

Result<std::vector<ChatChoice>> ask(const FakeChat& server, const ChatQuery& query = {}) {
  ChatClient client({{server.url(), chat_path("/")}}, {}, "chat", {.pause_seconds = 0.01});
  return client.ask(query, Deadline::after_seconds(20));
}

// The first choice of a reply with this body.
ChatChoice choice_of(const std::string& body) {
  FakeChat server({{200, body}});
  const auto choices = ask(server);
  EXPECT_TRUE(choices.ok()) << body << choices.status().message();
  return choices.ok() ? choices->front() : ChatChoice();
}

ChatChoice with_message(const std::string& message, const std::string& finish = "stop") {
  return choice_of(R"({"choices": [{"index": 0, "message": )" + message +
                   R"(, "finish_reason": ")" + finish + "\"}]}");
}

TEST(ChatPath, CompletesABaseUrl) {
  const std::string whole = "/v1/chat/completions";
  for (const char* path : {"/", "", "/v1", "/v1/", "/v1/chat/completions", "/v1/chat/completions/"})
    EXPECT_EQ(chat_path(path), whole) << path;
  EXPECT_EQ(chat_path("/openai/v1"), "/openai/v1/chat/completions");
  EXPECT_EQ(chat_path("/api/v3/"), "/api/v3/chat/completions");
  EXPECT_EQ(chat_path("/openai/deployments/m?api-version=2024-10-21"),
            "/openai/deployments/m/chat/completions?api-version=2024-10-21");
}

TEST(ChatClient, KeepsTheOrderOfKeys) {
  httplib::Server server;
  std::string sent;
  server.Post("/v1/chat/completions", [&](const httplib::Request& request, httplib::Response& to) {
    sent = request.body;
    to.set_content(R"({"choices": [{"message": {"content": "hello"}}]})", "application/json");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f","a":1}}])";
  const std::string messages = R"("messages":[{"role":"tool","content":"4","a":[]}])";
  ChatQuery query;
  query.messages = {{"tool", "4"}};
  query.more_members = OrderedJson::parse("{" + tools + "}");
  query.raw_messages = OrderedJson::parse("{" + messages + "}")["messages"];
  ChatClient client({{"http://127.0.0.1:" + std::to_string(port), chat_path("/")}}, {}, "chat");
  EXPECT_TRUE(client.ask(query, Deadline::after_seconds(20)).ok());
  server.stop();
  thread.join();
  EXPECT_EQ(sent, "{" + tools + "," + messages + "}");
}

TEST(ChatClient, SendsOnlyWhatIsSet) {
  FakeChat server({{200, R"({"choices": [{"message": {"content": "hello"}}]})"}});
  ChatQuery query;
  query.messages = {{"system", "Be brief."}, {"user", "hi"}};
  ASSERT_TRUE(ask(server, query).ok());
  EXPECT_EQ(server.requests()[0], Json::parse(R"({"messages": [
      {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]})"));
  query.model = "m";
  query.choices = 3;
  query.max_tokens = 7;
  query.temperature = 0;
  query.top_p = 0.5;
  query.stop = {"END"};
  query.seed = 12;
  ASSERT_TRUE(ask(server, query).ok());
  Json sent = server.requests()[1];
  sent.erase("messages");
  EXPECT_EQ(sent, Json::parse(R"({"model": "m", "n": 3, "max_tokens": 7, "temperature": 0.0,
                                  "top_p": 0.5, "stop": ["END"], "seed": 12})"));
}

TEST(ChatClient, ReadsEveryChoice) {
  FakeChat server({{200, R"({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"},
                                         {"message": {"content": "b"}}]})"}});
  const auto choices = ask(server);
  ASSERT_EQ(choices->size(), 2u);
  EXPECT_EQ((*choices)[0].content, "a");
  EXPECT_EQ((*choices)[0].finish_reason, "stop");
  EXPECT_EQ((*choices)[1].content, "b");
  EXPECT_EQ((*choices)[1].defect(), "");
}

TEST(ChatClient, ReasoningIsSeparateFromTheText) {
  for (const char* name : {"reasoning", "reasoning_content"}) {
    const ChatChoice choice =
        with_message(std::string(R"({"content": "4", ")") + name + R"(": "2 + 2"})");
    EXPECT_EQ(choice.content, "4");
    EXPECT_EQ(choice.reasoning, "2 + 2") << name;
    EXPECT_EQ(choice.defect(), "");
  }
}

TEST(ChatClient, PartsOfTheContentAreJoined) {
  const ChatChoice choice = with_message(
      R"({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                      {"type": "text", "text": "The answer "}, {"type": "text", "text": "is 4."}]})");
  EXPECT_EQ(choice.content, "The answer is 4.");
}

TEST(ChatClient, AMissingTextHasAReason) {
  const auto defect = [](const char* message, const char* finish = "stop") {
    const ChatChoice choice = with_message(message, finish);
    EXPECT_EQ(choice.content, "") << message;
    return choice.defect();
  };
  EXPECT_EQ(defect(R"({"content": null, "reasoning_content": "hm"})", "length"),
            "the reasoning used up max_tokens");
  EXPECT_EQ(defect(R"({"content": null, "reasoning": "hm"})"), "there is only reasoning");
  EXPECT_EQ(defect(R"({"content": null, "refusal": "I cannot."})"), "the model refuses: I cannot.");
  EXPECT_EQ(defect(R"({"content": null})", "content_filter"),
            "the service's filter has removed the text");
  EXPECT_EQ(defect(R"({"content": null, "tool_calls": []})", "tool_calls"),
            "there is no text, finish_reason tool_calls");
  for (const char* message : {"{}", "null", "[]", R"({"content": 3})", R"({"content": [3, {}]})"})
    EXPECT_EQ(defect(message), "there is no text, finish_reason stop") << message;
  EXPECT_EQ(choice_of(R"({"choices": [null]})").defect(), "there is no text");
  EXPECT_EQ(with_message(R"({"content": "4, beca"})", "length").defect(),
            "the text is cut at max_tokens");
}

TEST(ChatClient, RefusalsOfThisQueryAreToldFromThoseOfAll) {
  const auto status = [](int number, const char* body) {
    FakeChat server({{number, body}});
    const auto choices = ask(server);
    EXPECT_EQ(server.requests().size(), 1u) << number;
    EXPECT_EQ(choices.status().message().find("chat: " + server.url() + ": status "), 0u);
    return choices.status();
  };
  for (int number : {401, 403, 404, 405, 301})
    EXPECT_EQ(status(number, "{}").code(), StatusCode::invalid_argument) << number;
  EXPECT_EQ(status(429, R"({"error": {"code": "insufficient_quota"}})").code(),
            StatusCode::invalid_argument);
  for (int number : {400, 413, 422})
    EXPECT_EQ(status(number, "{}").code(), StatusCode::corrupt) << number;
  const Status no_model =
      status(400, R"({"error": {"message": "you must provide a model parameter"}})");
  EXPECT_NE(no_model.message().find("status 400: you must provide a model"), std::string::npos);
}

TEST(ChatClient, AnotherReplyIsNotAChatCompletion) {
  for (const char* body : {"no json", "", "[]", "{}", "3", R"({"choices": []})",
                           R"({"choices": {}})", R"({"error": {"message": "busy"}})"}) {
    FakeChat server({{200, body}});
    const auto choices = ask(server);
    EXPECT_EQ(choices.status().code(), StatusCode::corrupt) << body;
    EXPECT_NE(choices.status().message().find("not a chat completion"), std::string::npos);
  }
  FakeChat gateway({{200, R"({"error": {"message": "no provider is left"}})"}});
  EXPECT_NE(ask(gateway).status().message().find("no provider is left"), std::string::npos);
}

TEST(ChatClient, ABusyServerIsAskedAgain) {
  FakeChat server({{429, R"({"detail": "slow down"})"},
                   {503, "<html>"},
                   {200, R"({"choices": [{"message": {"content": "hello"}}]})"}});
  const auto choices = ask(server);
  ASSERT_TRUE(choices.ok()) << choices.status().message();
  EXPECT_EQ(choices->front().content, "hello");
  EXPECT_EQ(server.requests().size(), 3u);
}

constexpr const char* kHello =
    R"({"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]})";

TEST(ChatClient, TokenLimitsChangeTheirNameIfTheServerSaysSo) {
  FakeChat server({{400, R"({"error": {"message": "Unsupported parameter: 'max_tokens' is not
      supported with this model. Use 'max_completion_tokens' instead.", "param": "max_tokens"}})"},
                   {200, kHello}});
  ChatClient client({{server.url(), chat_path("/")}}, {}, "chat", {.pause_seconds = 0.01});
  const ChatQuery query{.messages = {{"user", "hi"}}, .max_tokens = 7};
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(client.ask(query, Deadline::after_seconds(20)).ok()) << i;
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);  // the second query knows it
  EXPECT_EQ(requests[0]["max_tokens"], 7);
  for (size_t i : {1u, 2u}) {
    EXPECT_FALSE(requests[i].contains("max_tokens"));
    EXPECT_EQ(requests[i]["max_completion_tokens"], 7);
  }
}

TEST(ChatClient, RefusedExtrasAreLeftOut) {
  FakeChat server(
      {{422, R"({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]})"},
       {400, R"({"error": {"message": "unknown field", "param": "return_token_ids"}})"},
       {200, kHello}});
  const auto choices = ask(server, {.messages = {{"user", "hi"}}, .seed = 3, .token_ids = true});
  ASSERT_TRUE(choices.ok()) << choices.status().message();
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_TRUE(requests[0].contains("seed"));
  EXPECT_FALSE(requests[1].contains("seed"));
  EXPECT_EQ(requests[1]["logprobs"], true);
  EXPECT_FALSE(requests[2].contains("return_token_ids"));
}

TEST(ChatClient, WhatChangesTheAnswersIsNotLeftOut) {
  FakeChat server({{400, R"({"error": {"message": "Unsupported value: 'temperature' does not
                                        support 0.5 with this model.", "param": "temperature"}})"}});
  EXPECT_EQ(ask(server, {.messages = {{"user", "hi"}}, .temperature = 0.5}).status().code(),
            StatusCode::corrupt);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(ChatClient, APromptOfTokensIsACompletion) {
  EXPECT_EQ(completions_path("/v1"), "/v1/completions");
  EXPECT_EQ(completions_path("/v1/chat/completions"), "/v1/completions");
  EXPECT_EQ(chat_path("/v1/completions"), "/v1/chat/completions");
  FakeService server("/v1/completions",
                     {{200, R"({"choices": [{"text": " 4", "finish_reason": "stop",
                         "token_ids": [5, 2], "logprobs": {"token_logprobs": [-0.5, -1]}}]})"}});
  ChatClient client({{server.url(), completions_path("/")}}, {}, "url");
  const auto choices = client.ask({.prompt_tokens = {1, 2}, .max_tokens = 3, .token_ids = true},
                                  Deadline::after_seconds(20));
  ASSERT_TRUE(choices.ok()) << choices.status().message();
  EXPECT_EQ(server.requests()[0], Json::parse(R"({"prompt": [1, 2], "max_tokens": 3, "logprobs": 0,
                            "return_token_ids": true})"));
  EXPECT_EQ(choices->front().content, " 4");
  EXPECT_EQ(choices->front().token_ids, (std::vector<data::TokenId>{5, 2}));
  EXPECT_EQ(choices->front().logprobs, (std::vector<float>{-0.5f, -1}));
  EXPECT_EQ(choices->front().tokens, 2);
}

}  // namespace
}  // namespace longshot::net
