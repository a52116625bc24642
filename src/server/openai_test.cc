#include "server/openai.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/generate.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/testing.h"

namespace longshot::server {
namespace {

Json chat_body(Json more = Json::object()) {
  Json body = {{"model", "tiny"}, {"seed", 3}, {"max_tokens", 60}};
  body["messages"] = {{{"role", "user"}, {"content", "hello"}}};
  body.update(more);
  return body;
}

struct Streamed {
  std::map<int, std::string> text, finish;
  std::map<int, std::vector<double>> logprobs;
  Json last;  // the last object
  int chunks = 0;
  bool done = false;
};

Streamed collect(const net::Reply& reply) {
  Streamed out;
  for (const std::string& event : events_of(reply)) {
    if (event == "[DONE]") {
      out.done = true;
      continue;
    }
    EXPECT_FALSE(out.done) << "an event after [DONE]";
    out.last = Json::parse(event);
    ++out.chunks;
    for (const Json& choice : out.last.value("choices", Json::array())) {
      const int i = choice["index"];
      out.text[i] += choice.contains("delta") ? choice["delta"].value("content", "")
                                              : choice["text"].get<std::string>();
      if (choice["finish_reason"].is_string()) out.finish[i] = choice["finish_reason"];
      if (choice["logprobs"].is_object() && choice["logprobs"].contains("content"))
        for (const Json& token : choice["logprobs"]["content"])
          out.logprobs[i].push_back(token["logprob"]);
    }
  }
  return out;
}

TEST(Chat, AStreamIsTheWholeAnswerInPieces) {
  TestServer server;
  const Json body = chat_body({{"n", 3}, {"logprobs", true}});
  const Json whole = ok(chat_completions(server.context, call_with(body)));
  EXPECT_EQ(whole["object"], "chat.completion");
  ASSERT_EQ(whole["choices"].size(), 3u);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 180);
  EXPECT_EQ(whole["usage"]["prompt_tokens"], 1);
  Json streaming = body;
  streaming.update({{"stream", true}, {"stream_options", {{"include_usage", true}}}});
  const Streamed streamed = collect(chat_completions(server.context, call_with(streaming)));
  EXPECT_TRUE(streamed.done);
  EXPECT_EQ(streamed.last["usage"], whole["usage"]);
  EXPECT_GT(streamed.chunks, 60);
  for (int i = 0; i < 3; ++i) {
    const Json& choice = whole["choices"][i];
    EXPECT_EQ(streamed.text.at(i), choice["message"]["content"]);
    EXPECT_EQ(streamed.finish.at(i), "length");
    std::vector<double> logprobs;
    for (const Json& token : choice["logprobs"]["content"]) logprobs.push_back(token["logprob"]);
    EXPECT_EQ(streamed.logprobs.at(i), logprobs);
    EXPECT_EQ(logprobs.size(), 60u);
  }
  EXPECT_NE(whole["choices"][0]["message"], whole["choices"][1]["message"]);
}

TEST(Chat, StopStringsAreNeverSeen) {
  TestServer server;
  const std::string text = ok(
      chat_completions(server.context, call_with(chat_body())))["choices"][0]["message"]["content"];
  // Two plain characters from the middle of the answer, so that the first of them must be held
  // back.
  size_t at = 8;
  while (at + 2 < text.size() && ((text[at] | text[at + 1]) & 0x80) != 0) ++at;
  const std::string cut = text.substr(at, 2);
  ASSERT_EQ(cut.size(), 2u);
  Json body = chat_body({{"stop", {cut, "never there"}}, {"stream", true}});
  const Streamed streamed = collect(chat_completions(server.context, call_with(body)));
  EXPECT_EQ(streamed.text.at(0), text.substr(0, text.find(cut)));
  EXPECT_EQ(streamed.finish.at(0), "stop");
}

TEST(Chat, SameSeedSameTextAndNoSeedAnother) {
  TestServer server;
  const auto text = [&](const Json& body) {
    return ok(
        chat_completions(server.context, call_with(body)))["choices"][0]["message"]["content"];
  };
  EXPECT_EQ(text(chat_body()), text(chat_body()));
  EXPECT_NE(text(chat_body()), text(chat_body({{"seed", 4}})));
  EXPECT_NE(text(chat_body({{"seed", nullptr}})), text(chat_body({{"seed", nullptr}})));
}

TEST(Chat, TopLogprobsHoldTheChosenTokenOfAGreedyAnswer) {
  TestServer server;
  const Json body =
      chat_body({{"temperature", 0}, {"logprobs", true}, {"top_logprobs", 4}, {"max_tokens", 8}});
  const Json content =
      ok(chat_completions(server.context, call_with(body)))["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 8u);
  for (const Json& token : content) {
    ASSERT_EQ(token["top_logprobs"].size(), 4u);
    EXPECT_EQ(token["top_logprobs"][0]["bytes"], token["bytes"]);
    EXPECT_NEAR(token["top_logprobs"][0]["logprob"].get<double>(), token["logprob"].get<double>(),
                1e-6);
    EXPECT_GE(token["top_logprobs"][0]["logprob"], token["top_logprobs"][3]["logprob"]);
  }
}

TEST(Chat, ToolsAndArgumentsReachTheTemplate) {
  TestServer server;
  server.chat_template = tokenizer::ChatTemplate::from_jinja(
      "{{ raise_exception(tools | tojson ~ enable_thinking ~ messages[0].name) }}");
  const Json body =
      chat_body({{"tools", {{{"type", "function"}}}},
                 {"chat_template_kwargs", {{"enable_thinking", false}}},
                 {"messages", {{{"role", "tool"}, {"content", "x"}, {"name", "n"}}}}});
  const Json answer = error(chat_completions(server.context, call_with(body)), 400);
  EXPECT_THAT(answer["message"].get<std::string>(),
              testing::HasSubstr("[{\"type\": \"function\"}]Falsen"));
}

TEST(Chat, WhatIsNotOfferedIsRefusedByName) {
  TestServer server;
  const auto param = [&](const Json& more) {
    return error(chat_completions(server.context, call_with(chat_body(more))), 400)["param"];
  };
  // The plain template reads neither.
  EXPECT_EQ(param({{"tools", {{{"type", "function"}}}}}), "tools");
  EXPECT_EQ(param({{"documents", {"d"}}}), "documents");
  EXPECT_EQ(param({{"frequency_penalty", 0.5}}), "frequency_penalty");
  EXPECT_EQ(param({{"logit_bias", {{"5", 1}}}}), "logit_bias");
  EXPECT_EQ(param({{"response_format", {{"type", "json_object"}}}}), "response_format");
  EXPECT_EQ(param({{"top_logprobs", 3}}), "top_logprobs");
  EXPECT_EQ(param({{"no_such_thing", 3}}), "no_such_thing");
  EXPECT_EQ(param({{"temperature", -1}}), "temperature");
  EXPECT_EQ(param({{"temperature", "hot"}}), "temperature");
  EXPECT_EQ(param({{"stop", ""}}), "stop");
  EXPECT_EQ(param({{"stream_options", {{"include_usage", true}}}}), "stream_options");
  EXPECT_EQ(param({{"messages", Json::array()}}), "messages");
  EXPECT_EQ(param({{"messages", {{{"role", "tool"}, {"content", "x"}}}}}), "messages");
  EXPECT_EQ(param({{"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}}}}),
            "messages[0].content");
  EXPECT_EQ(
      error(chat_completions(
                server.context,
                call_with(chat_body(
                    {{"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}}}}))),
            400)["message"]
          .get<std::string>(),
      "messages[0]: part 1 of 'content' is of type 'image_url'; only parts of type 'text' are "
      "supported");
  EXPECT_EQ(ok(chat_completions(server.context, call_with(chat_body({{"frequency_penalty", 0},
                                                                     {"user", "me"}}))))["object"],
            "chat.completion");
}

TEST(Chat, ToolsThatNothingReadsOrEnforcesAreRefused) {
  TestServer server;
  const auto param = [&](const Json& more) {
    return error(chat_completions(server.context, call_with(chat_body(more))), 400)["param"];
  };
  const auto tools = [](const Json& strict) {
    return Json::array({{{"type", "function"}},
                        {{"type", "function"}, {"function", {{"name", "f"}, {"strict", strict}}}}});
  };
  server.chat_template = tokenizer::ChatTemplate::from_jinja("{{ messages[0].content }}");
  EXPECT_EQ(param({{"tools", tools(false)}}), "tools");
  ok(chat_completions(server.context,
                      call_with(chat_body({{"tools", tools(true)}, {"tool_choice", "none"}}))));
  server.chat_template = tokenizer::ChatTemplate::from_jinja("{% if tools %}t{% endif %}x");
  for (const Json& strict : {Json(false), Json()})
    ok(chat_completions(server.context, call_with(chat_body({{"tools", tools(strict)}}))));
  EXPECT_EQ(param({{"tools", tools(true)}}), "tools[1].function.strict");
  EXPECT_EQ(param({{"tools", tools(false)}, {"tool_choice", "required"}}), "tool_choice");
  EXPECT_EQ(param({{"parallel_tool_calls", false}}), "parallel_tool_calls");
  EXPECT_EQ(param({{"chat_template_kwargs", {{"add_generation_prompt", false}}}}),
            "chat_template_kwargs.add_generation_prompt");
}

TEST(Chat, TheTwoNamesOfTheLengthMustAgree) {
  TestServer server;
  const auto call = [&](int newer) {
    return chat_completions(server.context,
                            call_with(chat_body({{"max_completion_tokens", newer}})));
  };
  ok(call(60));
  EXPECT_EQ(error(call(61), 400)["param"], "max_tokens");
}

TEST(Chat, ContentMayBeTextParts) {
  TestServer server;
  Json body = chat_body();
  const Json plain = ok(chat_completions(server.context, call_with(body)));
  body["messages"][0]["content"] = {{{"type", "text"}, {"text", "hel"}},
                                    {{"type", "text"}, {"text", "lo"}}};
  EXPECT_EQ(ok(chat_completions(server.context, call_with(body)))["choices"], plain["choices"]);
  // A template that renders the texts of a list sees the list, another one a text.
  const auto seen = [&](const std::string& jinja) {
    server.chat_template = tokenizer::ChatTemplate::from_jinja(jinja);
    return error(chat_completions(server.context, call_with(body)), 400)["message"]
        .get<std::string>();
  };
  EXPECT_THAT(seen("{% if messages[0].content is not string %}{% for part in messages[0].content %}"
                   "{% if part.text == 'lo' %}{{ raise_exception('a list') }}{% endif %}"
                   "{{ part.text }}{% endfor %}{% endif %}"),
              testing::HasSubstr("a list"));
  for (const std::string before :
       {"", "{{ '<' + messages[0].content }}", "{% if messages[0].content is string %}{% endif %}"})
    EXPECT_THAT(seen(before + "{{ raise_exception(messages[0].content | tojson) }}"),
                testing::HasSubstr(R"("hel\nlo")"))
        << before;
}

TEST(Chat, CallsOfToolsHaveTheFormThatTemplatesExpect) {
  TestServer server;
  const auto seen = [&](const Json& message) {
    const Json body = chat_body({{"messages", {message}}});
    return error(chat_completions(server.context, call_with(body)), 400);
  };
  const auto call = [](const Json& arguments) {
    return Json{{"role", "assistant"},
                {"content", nullptr},
                {"tool_calls", {{{"function", {{"name", "f"}, {"arguments", arguments}}}}}}};
  };
  server.chat_template = tokenizer::ChatTemplate::from_jinja(
      "{{ raise_exception('<' + messages[0].content + '>' + "
      "(messages[0].tool_calls[0].function.arguments | tojson)) }}");
  const auto message = [&](const Json& arguments) {
    return seen(call(arguments))["message"].get<std::string>();
  };
  EXPECT_THAT(message(R"({"b": 1, "a": {}})"), testing::HasSubstr(R"(<>{"b": 1, "a": {}})"));
  EXPECT_THAT(message(""), testing::HasSubstr("<>{}"));
  EXPECT_THAT(message("[1"), testing::HasSubstr(R"(<>"[1")"));
  EXPECT_THAT(message({{"a", 1}}), testing::HasSubstr(R"(<>{"a": 1})"));
  // A template that does not read them would lose them.
  server.chat_template = tokenizer::ChatTemplate::from_jinja("{{ messages[0].content }}");
  EXPECT_EQ(seen(call("{}"))["param"], "messages[0].tool_calls");
}

TEST(Errors, UnknownModelLongPromptAndFullQueueHaveTheirCodes) {
  TestServer server(1, 2);
  EXPECT_EQ(error(chat_completions(server.context, call_with(chat_body({{"model", "gpt-5"}}))),
                  404)["code"],
            "model_not_found");
  EXPECT_EQ(error(completions(server.context, call_with(completion_body({{"max_tokens", 500}}))),
                  400)["code"],
            "context_length_exceeded");
  const Json long_prompt = Json(std::vector<int>(300, 7));
  EXPECT_EQ(
      error(completions(server.context, call_with(completion_body({{"prompt", long_prompt}}))),
            400)["code"],
      "context_length_exceeded");
  // More samples than there is room for can never be taken, so it does not help to try again.
  EXPECT_EQ(error(completions(server.context, call_with(completion_body({{"n", 4}}))), 400)["type"],
            "invalid_request_error");
  EXPECT_EQ(
      error(completions(server.context, call_with(completion_body({{"prompt", {1, 100000}}}))),
            400)["type"],
      "invalid_request_error");
}

TEST(Errors, ADeadlineIs504AndInAStreamAnErrorEvent) {
  TestServer server;
  server.context.timeout_seconds = 0.02;
  server.worker.pause();
  EXPECT_EQ(error(chat_completions(server.context, call_with(chat_body())), 504)["code"],
            "deadline_exceeded");
  const auto events =
      events_of(chat_completions(server.context, call_with(chat_body({{"stream", true}}))));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(Json::parse(events[0])["error"]["code"], "deadline_exceeded");
}

TEST(Generate, TokensAreThoseOfTheOtherRoutesForTheSameSeed) {
  TestServer server;
  const Json choice = ok(completions(
      server.context,
      call_with(completion_body({{"logprobs", 0}, {"return_token_ids", true}}))))["choices"][0];
  const Json body = {{"input_ids", server.tokenizer->encode("abc")},
                     {"sampling_params", {{"max_new_tokens", 60}, {"seed", 3}}},
                     {"return_logprob", true}};
  const Json out = ok(generate(server.context, call_with(body)));
  EXPECT_EQ(out["output_ids"], choice["token_ids"]);
  EXPECT_EQ(out["text"], choice["text"]);
  EXPECT_EQ(out["meta_info"]["finish_reason"], (Json{{"type", "length"}, {"length", 60}}));
  EXPECT_EQ(out["meta_info"]["segments"], Json::parse("[[0, 60, 0]]"));
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(out["meta_info"]["output_token_logprobs"][i][0],
              choice["logprobs"]["token_logprobs"][i]);
    EXPECT_EQ(out["meta_info"]["output_token_logprobs"][i][1], choice["token_ids"][i]);
  }
}

TEST(Generate, AnAbortedSampleComesBackWithWhatItHas) {
  TestServer server;
  server.context.timeout_seconds = 0.02;
  server.worker.pause();
  const Json out = ok(generate(server.context, call_with({{"input_ids", {1, 2}}})));
  EXPECT_EQ(out["meta_info"]["finish_reason"]["type"], "abort");
  EXPECT_EQ(out["output_ids"], Json::array());
}

TEST(Generate, AStreamGivesEachTokenAndThenTheSample) {
  TestServer server;
  const Json body = {{"input_ids", {{1, 2}, {3}}},
                     {"sampling_params", {{"max_new_tokens", 5}, {"seed", 3}}}};
  const Json whole = ok(generate(server.context, call_with(body)));
  Json streaming = body;
  streaming["stream"] = true;
  std::map<int, std::vector<int>> tokens;
  std::map<int, Json> last;
  for (const std::string& event : events_of(generate(server.context, call_with(streaming)))) {
    if (event == "[DONE]") continue;
    const Json json = Json::parse(event);
    if (json.contains("token")) tokens[json["index"]].push_back(json["token"]);
    if (json.contains("output_ids")) last[json["index"]] = json;
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Json(tokens.at(i)), whole[i]["output_ids"]);
    EXPECT_EQ(last.at(i)["output_ids"], whole[i]["output_ids"]);
  }
}

TEST(Generate, RefusesUnsoundInput) {
  TestServer server;
  for (const Json& body :
       {Json{{"input_ids", {1}}, {"text", "x"}}, Json::object(), Json{{"input_ids", "x"}},
        Json{{"input_ids", Json::array()}}, Json{{"input_ids", {1}}, {"sampling_params", 3}},
        Json{{"input_ids", {1}}, {"sampling_params", {{"min_new_tokens", 3}}}}}) {
    error(generate(server.context, call_with(body)), 400);
  }
}

}  // namespace
}  // namespace longshot::server
