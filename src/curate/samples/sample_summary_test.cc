#include "curate/samples/sample_summary.h"

#include <gtest/gtest.h>

#include "eval/evaluate.h"

namespace longshot::curate {
namespace {

JudgedSample judged(uint32_t index, bool correct, int64_t tokens) {
  JudgedSample sample;
  sample.index = index;
  sample.finish = "stop";
  sample.tokens = tokens;
  sample.score = correct ? 1 : 0;
  sample.correct = correct;
  return sample;
}

JudgedSample failed(uint32_t index, const std::string& error) {
  JudgedSample sample;
  sample.index = index;
  sample.error = error;
  return sample;
}

JudgedPrompt prompt_of(std::vector<JudgedSample> samples) {
  JudgedPrompt prompt;
  prompt.samples = std::move(samples);
  return prompt;
}

TEST(SampleSummary, FailedSamplesCountAsNeitherRightNorWrong) {
  SampleSummary summary;
  summary.add(prompt_of({judged(0, true, 4), judged(1, false, 8), failed(2, "timeout")}));
  summary.add(prompt_of({judged(0, true, 6), failed(1, "timeout"), failed(2, "status 500")}));
  summary.add(prompt_of({failed(0, "timeout")}));
  const OrderedJson json = summary.to_json();
  EXPECT_EQ(json["prompts"], 3);
  EXPECT_EQ(json["samples"], 7);
  EXPECT_EQ(json["judged"], 3);
  EXPECT_EQ(json["errors"], 4);
  EXPECT_EQ(json["tokens"], 18);
  EXPECT_EQ(json["accuracy"], 0.75);  // (1/2 + 1/1) / 2
  const auto [low, high] = eval::cluster_interval({0.5, 1}, 3);
  EXPECT_EQ(json["accuracy_95"], OrderedJson({low, high}));
  EXPECT_EQ(json["pass_at_n"], 1.0);
  EXPECT_EQ(json["all_correct"], 0.5);
  EXPECT_EQ(json["mean_tokens"], 6.0);
  EXPECT_EQ(json["mean_tokens_correct"], 5.0);
  EXPECT_EQ(json["mean_tokens_wrong"], 8.0);
  EXPECT_EQ(dump_json(json["errors_by_reason"]), R"({"timeout":3,"status 500":1})");
}

TEST(SampleSummary, WithoutJudgementsThereIsNoAccuracy) {
  SampleSummary summary;
  JudgedSample sample = judged(0, false, 0);
  sample.score.reset();
  summary.add(prompt_of({sample}));
  const OrderedJson json = summary.to_json();
  EXPECT_FALSE(json.contains("accuracy"));
  EXPECT_FALSE(json.contains("mean_tokens"));
  EXPECT_EQ(json["finish"]["stop"], 1);
}

}  // namespace
}  // namespace longshot::curate
