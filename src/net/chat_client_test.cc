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

}  // namespace
}  // namespace longshot::net
