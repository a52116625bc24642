#include "data/types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace longshot::data {
namespace {

using testing::HasSubstr;

Sample make_sample() {
  Sample sample;
  sample.prompt_id = "gsm8k/train/3";
  sample.index = 4294967295u;
  sample.seed = 18446744073709551615ull;
  sample.prompt_tokens = {1, 2, 151643};
  sample.tokens = {7, 8, 9};
  sample.logprobs = {-0.1f, std::nextafter(-1.0f, 0.0f), -std::numeric_limits<float>::min()};
  sample.segments = {{0, 2, 5}, {2, 3, int64_t{1} << 40, EngineKind::vllm}};
  sample.finish = FinishReason::repetition;
  sample.text = "x\n\"\xc3\xa9\"";
  return sample;
}

TEST(FinishReason, NamesAreReadBack) {
  for (const auto reason : {FinishReason::stop, FinishReason::length, FinishReason::partial,
                            FinishReason::repetition, FinishReason::aborted}) {
    EXPECT_EQ(parse_finish_reason(finish_reason_name(reason)), reason);
  }
  EXPECT_FALSE(parse_finish_reason("done").has_value());
}

TEST(Sample, SurvivesJsonBitForBit) {
  const Sample before = make_sample();
  const auto after = sample_from_json(Json::parse(dump_json(to_json(before))), "f:1");
  ASSERT_TRUE(after.ok()) << after.status().to_string();
  EXPECT_EQ(after->prompt_id, before.prompt_id);
  EXPECT_EQ(after->index, before.index);
  EXPECT_EQ(after->seed, before.seed);
  EXPECT_EQ(after->prompt_tokens, before.prompt_tokens);
  EXPECT_EQ(after->tokens, before.tokens);
  EXPECT_EQ(after->logprobs, before.logprobs);
  ASSERT_EQ(after->segments.size(), 2u);
  EXPECT_EQ(after->segments[1].begin, 2);
  EXPECT_EQ(after->segments[1].end, 3);
  EXPECT_EQ(after->segments[1].version, int64_t{1} << 40);
  EXPECT_EQ(after->segments[0].engine, EngineKind::longshot);
  EXPECT_EQ(after->segments[1].engine, EngineKind::vllm);
  EXPECT_EQ(after->finish, before.finish);
  EXPECT_EQ(after->text, before.text);
}

TEST(Sample, ErrorsNameThePlaceAndTheKey) {
  Json json = to_json(make_sample());
  json.erase("seed");
  EXPECT_THAT(sample_from_json(json, "f:7").status().message(),
              HasSubstr("f:7: key 'seed' is missing"));
  json = to_json(make_sample());
  json["tokens"] = "no";
  EXPECT_THAT(sample_from_json(json, "f:7").status().message(),
              HasSubstr("'tokens' has the wrong type"));
  json = to_json(make_sample());
  json["finish"] = "done";
  EXPECT_THAT(sample_from_json(json, "f:7").status().message(),
              HasSubstr("unknown finish reason 'done'"));
  json = to_json(make_sample());
  json["logprobs"].erase(0);
  EXPECT_EQ(sample_from_json(json, "f:7").status().code(), StatusCode::corrupt);
  EXPECT_FALSE(sample_from_json(Json::array(), "f:7").ok());
}

TEST(Verdict, SurvivesJson) {
  Verdict before;
  before.scored = true;
  before.score = 0.1;
  before.correct = true;
  before.components = {{"math", 1.0}, {"length", -0.25}};
  before.answer = "42";
  const auto after = verdict_from_json(Json::parse(dump_json(to_json(before))), "f:1");
  ASSERT_TRUE(after.ok()) << after.status().to_string();
  EXPECT_TRUE(after->scored && after->correct);
  EXPECT_EQ(after->score, 0.1);
  EXPECT_EQ(after->components, before.components);
  EXPECT_EQ(after->answer, "42");
  EXPECT_EQ(after->error, "");
  EXPECT_THAT(verdict_from_json(Json::object(), "f:2").status().message(),
              HasSubstr("f:2: key 'scored'"));
}

TEST(Verdict, ValuesOfStepsSurviveJsonAndMayBeMissing) {
  Verdict before;
  before.scored = true;
  EXPECT_FALSE(to_json(before).contains("step_values"));  // as in older records
  before.step_values = {{"http", {{2, 0.5}}}, {"python", {{3, 0.25}, {8, -1}}}};
  const Json json = Json::parse(dump_json(to_json(before)));
  const auto after = verdict_from_json(json, "f:1");
  ASSERT_TRUE(after.ok()) << after.status().to_string();
  EXPECT_EQ(after->step_values, before.step_values);
  Json damaged = json;
  damaged["step_values"]["python"][1]["end"] = 3;
  EXPECT_THAT(verdict_from_json(damaged, "f:1").status().message(),
              HasSubstr("f:1: step_values of 'python': step 2: 'end' is 3"));
}

TEST(Prompt, SurvivesJson) {
  Prompt before;
  before.id = "countdown/train/0";
  before.data_source = "countdown";
  before.messages = {{"system", "s"}, {"user", "u"}};
  before.ground_truth = R"({"numbers":[1,2],"target":3})";
  before.ground_truth_json = {{"numbers", {1, 2}}, {"target", 3}};
  before.extra_info = {{"index", 0}, {"nested", {{"a", {1, 2}}}}};
  before.difficulty = 2.5;
  before.tokens = {5, 6};
  const auto after = prompt_from_json(Json::parse(dump_json(to_json(before))), "f:1");
  ASSERT_TRUE(after.ok()) << after.status().to_string();
  EXPECT_EQ(after->id, before.id);
  EXPECT_EQ(after->data_source, before.data_source);
  ASSERT_EQ(after->messages.size(), 2u);
  EXPECT_EQ(after->messages, before.messages);
  EXPECT_EQ(after->text, "");
  EXPECT_EQ(after->ground_truth, before.ground_truth);
  EXPECT_EQ(after->ground_truth_json, before.ground_truth_json);
  EXPECT_EQ(after->extra_info, before.extra_info);
  EXPECT_EQ(after->difficulty, 2.5);
  EXPECT_EQ(after->tokens, before.tokens);
  EXPECT_THAT(prompt_from_json(Json::object(), "f:2").status().message(),
              HasSubstr("f:2: key 'id'"));
}

TEST(Prompt, TextsOfMessagesAreWrittenAsBefore) {
  Prompt prompt;
  prompt.messages = {{"user", "u"}, {"user", std::vector<ContentPart>{{PartKind::text, "v"}}}};
  const Json json = to_json(prompt);
  EXPECT_EQ(dump_json(json["messages"]),
            R"([{"content":"u","role":"user"},)"
            R"({"content":[{"text":"v","type":"text"}],"role":"user"}])");
  EXPECT_EQ(prompt_from_json(json, "f:1")->messages, prompt.messages);
}

}  // namespace
}  // namespace longshot::data
