#include "server/openai_completions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "server/testing.h"

namespace longshot::server {
namespace {

// One token for each letter.
Json letters(const TestServer& server, const std::string& text) {
  Json ids = Json::array();
  for (const char c : text) ids.push_back(server.tokenizer->encode(std::string(1, c)).at(0));
  return ids;
}

TEST(Completions, PromptsOfEveryKindGiveTheirChoicesInOrder) {
  TestServer server;
  const auto choices = [&](const Json& prompt, int n) {
    return ok(completions(server.context,
                          call_with(completion_body({{"prompt", prompt}, {"n", n}}))))["choices"];
  };
  const Json one = choices("abc", 1), ids = choices(server.tokenizer->encode("abc"), 1);
  EXPECT_EQ(one, ids);
  const Json two = choices({"abc", "xyz"}, 2);
  ASSERT_EQ(two.size(), 4u);
  EXPECT_EQ(two[0]["text"], one[0]["text"]);
  EXPECT_EQ(two[2]["text"], choices("xyz", 1)[0]["text"]);
  EXPECT_EQ(two[3]["index"], 3);
  EXPECT_EQ(choices({server.tokenizer->encode("abc"), server.tokenizer->encode("xyz")}, 2), two);
}

TEST(Completions, EqualPromptsAreAnsweredIndependently) {
  TestServer server;
  const auto texts = [&](const Json& prompt, int n) {
    std::vector<std::string> out;
    const Json more = {{"prompt", prompt}, {"n", n}, {"temperature", 1}};
    const Json answer = ok(completions(server.context, call_with(completion_body(more))));
    for (const Json& choice : answer["choices"]) out.push_back(choice["text"]);
    return out;
  };
  const std::vector<std::string> group = texts("abc", 4), same = texts({"abc", "abc"}, 2);
  EXPECT_EQ(same, group);  // as with n = 4
  EXPECT_NE(same[0], same[2]);
  const std::vector<std::string> mixed = texts({"abc", "xyz", "abc"}, 1);
  EXPECT_EQ(mixed[0], group[0]);
  EXPECT_EQ(mixed[1], texts("xyz", 1)[0]);
  EXPECT_EQ(mixed[2], group[1]);
}

TEST(Completions, ATemperatureWhoseInverseIsNotANumberIsRefused) {
  TestServer server;
  const auto call = [&](double temperature) {
    return completions(server.context, call_with(completion_body({{"temperature", temperature}})));
  };
  EXPECT_EQ(error(call(1e-40), 400)["type"], "invalid_request_error");
  const Json least = ok(call(1e-37))["choices"][0]["text"];
  EXPECT_EQ(least, ok(call(0))["choices"][0]["text"]);
}

TEST(Completions, BestOfGivesTheSamplesOfTheLargestMeanLogprob) {
  TestServer server;
  const Json ask = {{"prompt", {"abc", "de"}}, {"logprobs", 0}, {"max_tokens", 12}};
  Json all = completion_body(ask), best = completion_body(ask);
  all["n"] = best["best_of"] = 5;
  best["n"] = 2;
  const Json every = ok(completions(server.context, call_with(all)));
  const Json chosen = ok(completions(server.context, call_with(best)));
  const auto mean = [](const Json& choice) {
    const auto values = choice["logprobs"]["token_logprobs"].get<std::vector<double>>();
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  ASSERT_EQ(chosen["choices"].size(), 4u);
  for (int prompt = 0; prompt < 2; ++prompt) {
    std::vector<std::pair<double, std::string>> expected;
    for (int i = 0; i < 5; ++i) {
      const Json& choice = every["choices"][5 * prompt + i];
      expected.emplace_back(-mean(choice), choice["text"]);
    }
    std::sort(expected.begin(), expected.end());
    for (int i = 0; i < 2; ++i) {
      const Json& choice = chosen["choices"][2 * prompt + i];
      EXPECT_EQ(choice["index"], 2 * prompt + i);
      EXPECT_EQ(choice["text"], expected[i].second);
    }
  }
  EXPECT_EQ(chosen["usage"], every["usage"]);  // all samples count
  for (const Json& wrong :
       {Json({{"n", 3}, {"best_of", 2}}), Json({{"best_of", 2}, {"stream", true}}),
        Json({{"best_of", 2}, {"echo", true}})})
    EXPECT_EQ(error(completions(server.context, call_with(completion_body(wrong))), 400)["param"],
              "best_of");
}

TEST(Completions, LogprobsAreParallelLists) {
  TestServer server;
  const Json choice = ok(completions(
      server.context,
      call_with(completion_body({{"logprobs", 2}, {"return_token_ids", true}}))))["choices"][0];
  for (const char* key : {"tokens", "token_logprobs", "top_logprobs", "text_offset"})
    EXPECT_EQ(choice["logprobs"][key].size(), 60u) << key;
  EXPECT_EQ(choice["logprobs"]["text_offset"][0], 0);
  EXPECT_EQ(choice["token_ids"].size(), 60u);
  EXPECT_EQ(choice["prompt_token_ids"], Json(server.tokenizer->encode("abc")));
  EXPECT_EQ(ok(completions(server.context, call_with(completion_body())))["choices"][0]["logprobs"],
            nullptr);
}

TEST(Completions, EchoGivesThePromptWithItsLogprobs) {
  TestServer server;
  const Json body = completion_body(
      {{"prompt", letters(server, "abc")}, {"max_tokens", 3}, {"temperature", 0}, {"logprobs", 1}});
  Json echo = body;
  echo["echo"] = true;
  const Json plain = ok(completions(server.context, call_with(body)))["choices"][0];
  const Json whole = ok(completions(server.context, call_with(echo)));
  const Json& choice = whole["choices"][0];
  EXPECT_EQ(choice["text"], "abc" + plain["text"].get<std::string>());
  const Json& logprobs = choice["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), 6u);
  EXPECT_EQ(logprobs["tokens"][0], "a");
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  for (int i = 1; i < 6; ++i) {
    double best = -1e9;
    for (const auto& [text, value] : logprobs["top_logprobs"][i].items()) best = value;
    EXPECT_GE(best, logprobs["token_logprobs"][i].get<double>());
  }
  for (int i = 0; i < 4; ++i) EXPECT_EQ(logprobs["text_offset"][i], i);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(logprobs["token_logprobs"][3 + i], plain["logprobs"]["token_logprobs"][i]);
    EXPECT_EQ(logprobs["tokens"][3 + i], plain["logprobs"]["tokens"][i]);
  }
  EXPECT_EQ(whole["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 3);
}

TEST(Completions, EchoOfABatchWithoutGeneration) {
  TestServer server;
  const Json body =
      completion_body({{"prompt", {letters(server, "abc"), "b", letters(server, "abd")}},
                       {"max_tokens", 0},
                       {"echo", true},
                       {"logprobs", 0}});
  const Json whole = ok(completions(server.context, call_with(body)));
  ASSERT_EQ(whole["choices"].size(), 3u);
  EXPECT_EQ(whole["choices"][1]["text"], "b");
  EXPECT_EQ(whole["choices"][2]["text"], "abd");
  EXPECT_EQ(whole["choices"][0]["logprobs"]["tokens"].size(), 3u);
  EXPECT_EQ(whole["choices"][1]["logprobs"]["tokens"].size(), 1u);
  EXPECT_EQ(whole["choices"][0]["logprobs"]["token_logprobs"][1],
            whole["choices"][2]["logprobs"]["token_logprobs"][1]);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 0);
}

// The default of 16 tokens; the context has 20.
TEST(Completions, TheDefaultLengthIsLoweredToWhatTheContextLeaves) {
  TestServer server(4, 8, 20);
  const auto length = [&](int prompt) {
    const Json body =
        completion_body({{"prompt", std::vector<int>(prompt, 7)}, {"max_tokens", nullptr}});
    return ok(completions(server.context, call_with(body)))["usage"]["completion_tokens"]
        .get<int>();
  };
  EXPECT_EQ(length(17), 3);
  EXPECT_EQ(length(19), 1);
  Json body = completion_body({{"prompt", std::vector<int>(17, 7)}, {"max_tokens", 4}});
  EXPECT_EQ(error(completions(server.context, call_with(body)), 400)["code"],
            "context_length_exceeded");
  body = completion_body({{"prompt", std::vector<int>(20, 7)}, {"max_tokens", nullptr}});
  EXPECT_EQ(error(completions(server.context, call_with(body)), 400)["code"],
            "context_length_exceeded");
}

TEST(Completions, EchoCannotBeStreamedAndZeroTokensNeedIt) {
  TestServer server;
  const Json stream = completion_body({{"echo", true}, {"stream", true}});
  EXPECT_EQ(error(completions(server.context, call_with(stream)), 400)["param"], "stream");
  const Json none = completion_body({{"max_tokens", 0}});
  EXPECT_EQ(error(completions(server.context, call_with(none)), 400)["param"], "max_tokens");
}

}  // namespace
}  // namespace longshot::server
