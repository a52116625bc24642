#include "curate/samples/server_source.h"

#include <gtest/gtest.h>

#include <set>

#include "net/testing.h"

namespace longshot::curate {
namespace {

constexpr const char* kFour =
    R"({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 2}})";

data::Prompt two_plus_two() {
  data::Prompt prompt;
  prompt.id = "a";
  prompt.text = "2 + 2?";
  return prompt;
}

std::unique_ptr<SampleSource> source_of(ServerSourceOptions options) {
  options.pause_seconds = 0.01;
  return make_server_source(options).value();
}

TEST(ServerSource, EverySampleIsARequestWithItsOwnSeed) {
  net::FakeService server("/v1/chat/completions", {{200, kFour}});
  const auto source = source_of({.urls = {server.url()}, .model = "m", .seed = 5});
  const auto responses = source->ask(two_plus_two(), {0, 1, 2});
  ASSERT_EQ(responses.size(), 3u);
  for (const Response& response : responses) {
    ASSERT_TRUE(response.status.ok()) << response.status.message();
    EXPECT_EQ(response.sample.text, "4");
    EXPECT_EQ(response.tokens, 2);
  }
  std::set<uint64_t> seeds;
  for (const Json& request : server.requests()) {
    EXPECT_EQ(request["messages"][0]["content"], "2 + 2?");
    seeds.insert(request["seed"].get<uint64_t>());
  }
  EXPECT_EQ(seeds.size(), 3u);
  (void)source->ask(two_plus_two(), {1});
  EXPECT_TRUE(seeds.contains(server.requests().back()["seed"].get<uint64_t>()));
}

TEST(ServerSource, WhatARowGivesItsTemplateIsSent) {
  net::FakeService server("/v1/chat/completions", {{200, kFour}});
  data::Prompt prompt = two_plus_two();
  prompt.messages = {{"user", "2 + 2?"}, {"assistant", ""}, {"tool", "4"}};
  const Json call = {{"role", "assistant"}, {"content", ""}, {"tool_calls", {{{"id", "c"}}}}};
  const Json result = {{"role", "tool"}, {"content", "4"}, {"tool_call_id", "c"}};
  const Json tools = {{{"type", "function"}, {"function", {{"name", "add"}}}}};
  const Json arguments = {{"tools", tools}, {"documents", {"d"}}, {"enable_thinking", false}};
  prompt.extra_info["chat_template"] = {{"arguments", arguments.dump()},
                                        {"messages", {{"1", call.dump()}, {"2", result.dump()}}}};
  (void)source_of({.urls = {server.url()}})->ask(prompt, {0});
  const Json request = server.requests().front();
  EXPECT_EQ(request["messages"], Json({{{"role", "user"}, {"content", "2 + 2?"}}, call, result}));
  EXPECT_EQ(request["tools"], tools);
  EXPECT_EQ(request["chat_template_kwargs"],
            Json({{"documents", {"d"}}, {"enable_thinking", false}}));
}

TEST(ServerSource, AReplicaThatFailsIsReplaced) {
  net::FakeService broken("/v1/chat/completions", {{500, "no"}});
  net::FakeService sound("/v1/chat/completions", {{200, kFour}});
  const auto source = source_of({.urls = {broken.url(), sound.url()}, .retries = 0});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(source->ask(two_plus_two(), {0})[0].status.ok()) << i;
}

TEST(ServerSource, AFailureIsAStatus) {
  net::FakeService broken("/v1/chat/completions", {{500, "no"}});
  const auto source = source_of({.urls = {broken.url()}, .retries = 2});
  EXPECT_EQ(source->ask(two_plus_two(), {0})[0].status.code(), StatusCode::unavailable);
  EXPECT_EQ(broken.requests().size(), 3u);
  net::FakeService locked("/v1/chat/completions", {{401, "{}"}});
  const auto refused = source_of({.urls = {locked.url()}})->ask(two_plus_two(), {0});
  EXPECT_EQ(refused[0].status.code(), StatusCode::invalid_argument);
}

net::ChatChoice choice(const std::string& content, const std::string& finish,
                       const std::string& reasoning = "") {
  net::ChatChoice choice;
  choice.content = content;
  choice.finish_reason = finish;
  choice.reasoning = reasoning;
  return choice;
}

TEST(ResponseOf, ReasoningComesFirst) {
  EXPECT_EQ(response_of(choice("4", "stop", "hm\n")).sample.text, "<think>\nhm\n</think>\n\n4");
  const Response cut = response_of(choice("", "length", "hm"));
  EXPECT_EQ(cut.sample.text, "<think>\nhm");
  EXPECT_EQ(cut.sample.finish, data::FinishReason::length);
}

TEST(ResponseOf, WhatIsNotAWholeResponseIsAnError) {
  for (const char* finish : {"", "content_filter", "tool_calls", "abort", "error"})
    EXPECT_EQ(response_of(choice("4", finish)).status.code(), StatusCode::corrupt) << finish;
  EXPECT_EQ(response_of(choice("", "stop")).status.code(), StatusCode::corrupt);
  net::ChatChoice refusal = choice("", "stop");
  refusal.refusal = "I cannot.";
  EXPECT_NE(response_of(refusal).status.message().find("the model refuses"), std::string::npos);
  net::ChatChoice silent = choice("", "stop");
  silent.tokens = 1;
  EXPECT_TRUE(response_of(silent).status.ok());
  for (const char* finish : {"stop", "eos_token", "stop_sequence", "end_turn"})
    EXPECT_EQ(response_of(choice("4", finish)).sample.finish, data::FinishReason::stop) << finish;
}

}  // namespace
}  // namespace longshot::curate
