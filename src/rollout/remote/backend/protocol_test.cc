#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "rollout/remote/backend/backend.h"
#include "rollout/remote/backend/event_stream.h"

namespace longshot::rollout {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ServerQuery query() {
  ServerQuery q;
  q.tokens = {5, 6, 7};
  q.sampling.temperature = 0.7;
  q.sampling.top_p = 0.9;
  q.sampling.top_k = 20;
  q.sampling.min_p = 0.1;
  q.sampling.stop_tokens = {2, 9};
  q.sampling.stop_strings = {"\n\n"};
  q.max_tokens = 12;
  q.seed = 9223372036854775807u;
  q.id = "longshot-1-0";
  return q;
}

Json body_of(const ServerCall& call) {
  return *parse_json(call.body, "body");
}

// Events as vLLM 0.32.0 writes them.
const std::string kVllmFirst =
    R"({"id":"cmpl-x","object":"text_completion","created":1795948470,"model":"m","choices":[{)"
    R"("index":0,"text":"\n","logprobs":{"text_offset":[0],"token_logprobs":[-2.416656732559204],)"
    R"("tokens":["token_id:198"],"top_logprobs":[{"token_id:198":-2.416656732559204}]},)"
    R"("finish_reason":null,"stop_reason":null,"prompt_token_ids":[1,2],"token_ids":[198]}]})";
const std::string kVllmLast =
    R"({"id":"cmpl-x","object":"text_completion","created":1795948470,"model":"m","choices":[{)"
    R"("index":0,"text":"B","logprobs":{"text_offset":[37,38],"token_logprobs":[-6.3,-0.5],)"
    R"("tokens":["token_id:50","token_id:2"],"top_logprobs":[{"token_id:50":-6.3},{}]},)"
    R"("finish_reason":"stop","stop_reason":2,"prompt_token_ids":null,"token_ids":[50,2]}],)"
    R"("system_fingerprint":"vllm-0.32.0-57b814d0"})";

TEST(Vllm, ARequestHasEveryOptionAndNoDefaultOfTheServer) {
  const ServerCall call = make_vllm_protocol()->generate(query());
  EXPECT_EQ(call.path, "/v1/completions");
  const Json body = body_of(call);
  const Json expected = {{"prompt", {5, 6, 7}},
                         {"add_special_tokens", false},
                         {"max_tokens", 12},
                         {"temperature", 0.7},
                         {"top_p", 0.9},
                         {"top_k", 20},
                         {"min_p", 0.1},
                         {"repetition_penalty", 1.0},
                         {"presence_penalty", 0.0},
                         {"frequency_penalty", 0.0},
                         {"seed", 9223372036854775807},
                         {"ignore_eos", true},
                         {"stop_token_ids", {2, 9}},
                         {"logprobs", 0},
                         {"return_token_ids", true},
                         {"return_tokens_as_token_ids", true},
                         {"request_id", "longshot-1-0"},
                         {"stream", true}};
  EXPECT_EQ(body, expected);
}

TEST(Vllm, GreedySamplingIgnoresFilters) {
  ServerQuery q = query();
  q.sampling.temperature = 0;
  const Json body = body_of(make_vllm_protocol()->generate(q));
  EXPECT_EQ(body.at("top_p"), 1.0);
  EXPECT_EQ(body.at("top_k"), 0);
  EXPECT_EQ(body.at("min_p"), 0.0);
}

TEST(Vllm, EventsGiveTokensAndTheirLogprobs) {
  const auto protocol = make_vllm_protocol();
  const auto first = protocol->read(kVllmFirst, 0);
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_THAT(first->tokens, ElementsAre(198));
  EXPECT_THAT(first->logprobs, ElementsAre(-2.416656732559204f));
  EXPECT_EQ(first->finish, "");
  const auto last = protocol->read(kVllmLast, 1);
  ASSERT_TRUE(last.ok()) << last.status().message();
  EXPECT_THAT(last->tokens, ElementsAre(50, 2));
  EXPECT_THAT(last->logprobs, ElementsAre(-6.3f, -0.5f));
  EXPECT_EQ(last->finish, "stop");
  const auto usage = protocol->read(
      R"({"id":"cmpl-x","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3}})", 3);
  ASSERT_TRUE(usage.ok()) << usage.status().message();
  EXPECT_TRUE(usage->tokens.empty());
}

TEST(Vllm, NumbersThatDisagreeAndErrorsAreNoticed) {
  const auto protocol = make_vllm_protocol();
  std::string fewer = kVllmLast;
  fewer.replace(fewer.find("[-6.3,-0.5]"), 11, "[-6.3]");
  EXPECT_EQ(protocol->read(fewer, 1).status().code(), StatusCode::corrupt);
  std::string no_ids = kVllmLast;
  no_ids.replace(no_ids.find("\"token_ids\":[50,2]"), 18, "\"token_ids\":null");
  EXPECT_EQ(protocol->read(no_ids, 1).status().code(), StatusCode::corrupt);
  EXPECT_EQ(protocol->read("<html>", 0).status().code(), StatusCode::corrupt);
  const auto refused = protocol->read(
      R"({"error": {"message": "Token id 500000 is out of vocabulary", "type": "BadRequestError", )"
      R"("param": null, "code": 400}})",
      0);
  EXPECT_EQ(refused.status().code(), StatusCode::invalid_argument);
  EXPECT_THAT(refused.status().message(), HasSubstr("Token id 500000 is out of vocabulary"));
  const auto failed = protocol->read(
      R"({"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}})",
      0);
  EXPECT_EQ(failed.status().code(), StatusCode::exhausted);
}

TEST(Vllm, WeightsAreReloadedAndThePrefixCacheIsReset) {
  const auto protocol = make_vllm_protocol();
  const auto calls = protocol->load("/dev/shm/x/1-2", "1-2");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].path, "/collective_rpc");
  const Json expected = {{"method", "reload_weights"},
                         {"kwargs", {{"weights_path", "/dev/shm/x/1-2"}}}};
  EXPECT_EQ(body_of(calls[0]), expected);
  EXPECT_EQ(calls[1].path, "/reset_prefix_cache");
  EXPECT_TRUE(protocol->check_loaded(R"({"results":[null]})").ok());
  EXPECT_TRUE(protocol->check_loaded(R"({"success":true})").ok());
  EXPECT_TRUE(protocol->check_loaded("").ok());
  EXPECT_EQ(protocol->check_loaded(R"({"success":false})").code(), StatusCode::exhausted);
}

TEST(Vllm, LogprobsMustBeThoseOfTheDistributionThatWasDrawnFrom) {
  const auto protocol = make_vllm_protocol();
  SamplingOptions plain;
  plain.temperature = 1;
  EXPECT_TRUE(protocol->check_sampling(plain, {}).ok());
  SamplingOptions warm = plain;
  warm.temperature = 0.6;
  EXPECT_THAT(protocol->check_sampling(warm, {}).message(), HasSubstr("processed_logprobs"));
  EXPECT_TRUE(protocol->check_sampling(warm, {.after_filters = true}).ok());
  warm.temperature = 0;
  EXPECT_TRUE(protocol->check_sampling(warm, {}).ok());
}

// Events as SGLang 0.5.23 writes them: all tokens so far, or those since the last event.
const std::string kSglangFirst =
    R"({"text":" a","output_ids":[198],"meta_info":{"id":"r","finish_reason":null,)"
    R"("prompt_tokens":5,"weight_version":"default","num_retractions":0,)"
    R"("output_token_logprobs":[[-2.5,198,null]],"completion_tokens":1,"cached_tokens":0}})";
const std::string kSglangAll =
    R"({"text":" a b","output_ids":[198,50,2],"meta_info":{"id":"r",)"
    R"("finish_reason":{"type":"stop","matched":2},"weight_version":"default",)"
    R"("output_token_logprobs":[[-2.5,198,null],[-6.25,50,null],[-0.5,2,null]],)"
    R"("completion_tokens":3}})";
const std::string kSglangDelta =
    R"({"text":" b","output_ids":[50,2],"meta_info":{"id":"r","finish_reason":{"type":"length",)"
    R"("length":3},"output_token_logprobs":[[-6.25,50,null],[-0.5,2,null]],)"
    R"("completion_tokens":3}})";

TEST(Sglang, ARequestHasEveryOptionAndNoDefaultOfTheServer) {
  const ServerCall call = make_sglang_protocol()->generate(query());
  EXPECT_EQ(call.path, "/generate");
  const Json body = body_of(call);
  EXPECT_EQ(body.at("input_ids"), Json({5, 6, 7}));
  EXPECT_EQ(body.at("return_logprob"), true);
  EXPECT_EQ(body.at("stream"), true);
  const Json expected = {{"max_new_tokens", 12},
                         {"temperature", 0.7},
                         {"top_p", 0.9},
                         {"top_k", 20},
                         {"min_p", 0.1},
                         {"repetition_penalty", 1.0},
                         {"presence_penalty", 0.0},
                         {"frequency_penalty", 0.0},
                         {"sampling_seed", 9223372036854775807},
                         {"ignore_eos", true},
                         {"stop_token_ids", {2, 9}},
                         {"skip_special_tokens", false},
                         {"no_stop_trim", true}};
  EXPECT_EQ(body.at("sampling_params"), expected);
  ServerQuery q = query();
  q.sampling.top_k = 0;
  EXPECT_EQ(body_of(make_sglang_protocol()->generate(q)).at("sampling_params").at("top_k"), -1);
}

TEST(Sglang, CumulativeAndIncrementalEventsGiveTheSameTokens) {
  const auto protocol = make_sglang_protocol();
  const auto first = protocol->read(kSglangFirst, 0);
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_THAT(first->tokens, ElementsAre(198));
  EXPECT_THAT(first->logprobs, ElementsAre(-2.5f));
  for (const std::string& event : {kSglangAll, kSglangDelta}) {
    const auto last = protocol->read(event, 1);
    ASSERT_TRUE(last.ok()) << last.status().message();
    EXPECT_THAT(last->tokens, ElementsAre(50, 2));
    EXPECT_THAT(last->logprobs, ElementsAre(-6.25f, -0.5f));
    EXPECT_NE(last->finish, "");
  }
}

TEST(Sglang, NumbersThatDisagreeAndErrorsAreNoticed) {
  const auto protocol = make_sglang_protocol();
  EXPECT_EQ(protocol->read(kSglangDelta, 2).status().code(), StatusCode::corrupt);  // one is lost
  EXPECT_EQ(protocol->read(kSglangDelta, 4).status().code(), StatusCode::corrupt);
  std::string other = kSglangAll;
  other.replace(other.find("[198,50,2]"), 10, "[198,51,2]");
  EXPECT_EQ(protocol->read(other, 1).status().code(), StatusCode::corrupt);
  const auto aborted =
      protocol->read(R"({"text":"","output_ids":[],"meta_info":{"id":"r","completion_tokens":0,)"
                     R"("finish_reason":{"type":"abort","message":"Abort in waiting queue"}}})",
                     0);
  EXPECT_EQ(aborted.status().code(), StatusCode::unavailable);
  const auto refused = protocol->read(
      R"({"error":{"message":"Input length (9) exceeds","type":"invalid_request_error",)"
      R"("code":400,"retryable":false}})",
      0);
  EXPECT_EQ(refused.status().code(), StatusCode::invalid_argument);
}

TEST(Sglang, WeightsAreLoadedOnlyIfTheServerSaysSo) {
  const auto protocol = make_sglang_protocol();
  const auto calls = protocol->load("/shared/w", "3-4");
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].path, "/update_weights_from_disk");
  const Json expected = {{"model_path", "/shared/w"},
                         {"weight_version", "3-4"},
                         {"abort_all_requests", true},
                         {"flush_cache", true}};
  EXPECT_EQ(body_of(calls[0]), expected);
  EXPECT_TRUE(protocol->check_loaded(R"({"success":true,"message":"ok"})").ok());
  EXPECT_FALSE(protocol->check_loaded(R"({"success":false,"message":"no"})").ok());
  EXPECT_FALSE(protocol->check_loaded("").ok());
}

TEST(Sglang, FiltersAreRefusedBecauseItsLogprobsAreThoseBeforeThem) {
  const auto protocol = make_sglang_protocol();
  SamplingOptions sampling;
  sampling.temperature = 0.6;
  EXPECT_TRUE(protocol->check_sampling(sampling, {}).ok());
  sampling.top_k = 5;
  EXPECT_THAT(protocol->check_sampling(sampling, {}).message(), HasSubstr("rollout.top_k = 0"));
  EXPECT_TRUE(protocol->check_sampling(sampling, {.after_filters = true}).ok());
}

TEST(EventStream, EventsMayArriveInAnyPieces) {
  const std::string text =
      ": a comment\n\ndata: {\"a\":1}\n\nevent: x\r\ndata:one\r\ndata: two\r\n\r\ndata: [DONE]\n\n";
  for (const size_t step : {size_t{1}, size_t{5}, text.size()}) {
    EventStream stream;
    std::vector<std::string> events;
    for (size_t at = 0; at < text.size(); at += step)
      for (std::string& event : stream.take(std::string_view(text).substr(at, step)))
        events.push_back(std::move(event));
    EXPECT_THAT(events, ElementsAre("{\"a\":1}", "one\ntwo", "[DONE]"));
    EXPECT_EQ(stream.pending(), 0u);
  }
  EventStream cut;
  EXPECT_TRUE(cut.take("data: {\"a\"").empty());
  EXPECT_GT(cut.pending(), 0u);
}

}  // namespace
}  // namespace longshot::rollout
