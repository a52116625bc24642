#include "server/unsupported.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/generate.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/testing.h"

namespace longshot::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const Json kSchema = {{"type", "object"}, {"properties", {{"a", {{"type", "integer"}}}}}};

// Every form in which clients ask that an answer follows a grammar.
const std::vector<std::pair<std::string, Json>> kForms = {
    {"response_format", {{"type", "json_object"}}},
    {"response_format", {{"type", "json_object"}, {"schema", kSchema}}},
    {"response_format",
     {{"type", "json_schema"}, {"json_schema", {{"name", "n"}, {"schema", kSchema}}}}},
    {"response_format", {{"type", "structural_tag"}}},
    {"response_format", {{"type", "text"}, {"schema", kSchema}}},
    {"response_format", "json"},
    {"guided_json", kSchema},
    {"guided_json", kSchema.dump()},
    {"guided_regex", "[0-9]+"},
    {"guided_choice", {"yes", "no"}},
    {"guided_grammar", "root ::= \"a\""},
    {"guided_decoding_backend", "xgrammar"},
    {"guided_whitespace_pattern", " ?"},
    {"structured_outputs", {{"json", kSchema}}},
    {"structured_outputs", {{"choice", {"yes", "no"}}}},
    {"structural_tag", "{}"},
    {"grammar", "root ::= \"a\""},
    {"json_schema", kSchema},
    {"json_schema", Json::object()},
    {"json_schema", kSchema.dump()},
    {"regex", "a+"},
    {"ebnf", "root ::= \"a\""},
};

net::Reply chat(const TestServer& server, const std::string& key, const Json& value) {
  Json body = {{"model", "tiny"}, {"max_tokens", 2}, {key, value}};
  body["messages"] = {{{"role", "user"}, {"content", "hello"}}};
  return chat_completions(server.context, call_with(body));
}

net::Reply completion(const TestServer& server, const std::string& key, const Json& value) {
  return completions(server.context, call_with(completion_body({{key, value}})));
}

net::Reply generated(const TestServer& server, const std::string& key, const Json& value) {
  return generate(
      server.context,
      call_with({{"text", "abc"}, {"sampling_params", {{"max_new_tokens", 2}, {key, value}}}}));
}

TEST(Unsupported, EveryFormOfAGrammarIsRefusedByNameWithAnAlternative) {
  TestServer server;
  for (const auto& [key, value] : kForms) {
    for (const auto& route : {chat, completion, generated}) {
      const Json why = error(route(server, key, value), 400);
      const std::string name = (route == generated ? "sampling_params." : "") + key;
      EXPECT_EQ(why["param"], name) << value;
      EXPECT_EQ(why["code"], "unsupported_parameter") << key << value;
      const char* instead = key == "guided_choice" ? "'echo'" : "check the answer";
      EXPECT_THAT(why["message"].get<std::string>(),
                  AllOf(HasSubstr("'" + name + "' is not supported: "), HasSubstr(instead)));
    }
  }
}

TEST(Unsupported, NullAndNeutralValuesAreAccepted) {
  TestServer server;
  for (const auto& [key, value] : kForms)
    for (const auto& route : {chat, completion, generated}) ok(route(server, key, nullptr));
  const std::vector<std::pair<std::string, Json>> neutral = {
      {"response_format", {{"type", "text"}}},
      {"grammar", ""},
      {"frequency_penalty", 0.0},
      {"repeat_penalty", 1.0},
      {"min_tokens", 0},
      {"use_beam_search", false},
      {"skip_special_tokens", true},
      {"lora", Json::array()}};
  for (const auto& [key, value] : neutral)
    for (const auto& route : {chat, completion, generated}) ok(route(server, key, value));
}

TEST(Unsupported, WhatElseWouldChangeAnAnswerIsRefusedByName) {
  TestServer server;
  const std::vector<std::pair<std::string, Json>> given = {{"presence_penalty", 0.5},
                                                           {"repetition_penalty", 1.1},
                                                           {"repeat_penalty", 1.1},
                                                           {"logit_bias", {{5, false}}},
                                                           {"allowed_token_ids", {1}},
                                                           {"bad_words", {"a"}},
                                                           {"mirostat", 2},
                                                           {"typical_p", 0.9},
                                                           {"use_beam_search", true},
                                                           {"min_tokens", 3},
                                                           {"min_new_tokens", 3},
                                                           {"n_predict", 3},
                                                           {"skip_special_tokens", false},
                                                           {"prompt_logprobs", 1},
                                                           {"truncate_prompt_tokens", 3},
                                                           {"chat_template", "x"},
                                                           {"reasoning_effort", "low"},
                                                           {"lora", {{{"id", 0}}}}};
  for (const auto& [key, value] : given) {
    for (const auto& route : {chat, completion, generated}) {
      const Json why = error(route(server, key, value), 400);
      EXPECT_EQ(why["code"], "unsupported_parameter") << key;
      EXPECT_THAT(why["param"].get<std::string>(), ::testing::EndsWith(key));
      EXPECT_THAT(why["message"].get<std::string>(), HasSubstr("is not supported: "));
    }
  }
}

}  // namespace
}  // namespace longshot::server
