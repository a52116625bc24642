#include "eval/sample_records.h"

#include <gtest/gtest.h>

namespace longshot::eval {
namespace {

const tokenizer::Tokenizer& letters() {
  static const auto tokenizer = tokenizer::make_character_tokenizer("#abU+=?23 ").value();
  return *tokenizer;
}

// The messages are not what the model sees: a template writes special tokens around them.
data::Group group(int samples) {
  data::Group group;
  group.prompt.messages = {{"user", "2 + 3 = ?"}};
  group.prompt.tokens = letters().encode("<eos>#U 2 + 3 = ?<eos>");
  group.prompt.ground_truth = "5";
  group.samples.resize(static_cast<size_t>(samples));
  group.verdicts.resize(static_cast<size_t>(samples));
  return group;
}

TEST(SampleRecords, ShowWhatTheModelSawAndTheVerdict) {
  data::Group judged = group(2);
  judged.samples[0].text = "It is 5.";
  judged.samples[0].tokens.resize(4);
  judged.samples[0].finish = data::FinishReason::stop;
  judged.verdicts[0].scored = judged.verdicts[0].correct = true;
  judged.verdicts[0].score = 1;
  judged.verdicts[1].error = "no answer in time";
  const auto records = sample_records({judged}, -1, letters());
  ASSERT_EQ(records.size(), 2u);
  for (const SampleRecord& record : records) EXPECT_EQ(record.prompt, "<eos>#U 2 + 3 = ?<eos>");
  EXPECT_EQ(records[0].response, "It is 5.");
  EXPECT_EQ(records[0].score, 1);
  EXPECT_TRUE(records[0].correct);
  EXPECT_EQ(records[0].ground_truth, "5");
  EXPECT_EQ(records[0].finish, "stop");
  EXPECT_EQ(records[0].tokens, 4);
  EXPECT_EQ(records[1].score, std::nullopt);
  EXPECT_EQ(records[1].error, "no answer in time");
}

TEST(SampleRecords, TheLimitMayCutAGroup) {
  const std::vector<data::Group> groups = {group(2), group(2)};
  EXPECT_EQ(sample_records(groups, 3, letters()).size(), 3u);
  EXPECT_EQ(sample_records(groups, 0, letters()).size(), 0u);
  EXPECT_EQ(sample_records(groups, -1, letters()).size(), 4u);
}

TEST(SampleRecords, ContainTheValuesOfSteps) {
  data::Group judged = group(2);
  judged.verdicts[1].step_values = {{"python", {{2, 0.5}, {7, -1}}}};
  const auto records = sample_records({judged}, -1, letters());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_FALSE(Json::parse(sample_line(1, records[0])).contains("step_values"));
  EXPECT_EQ(Json::parse(sample_line(1, records[1]))["step_values"],
            Json::parse(R"({"python": [{"end": 2, "value": 0.5}, {"end": 7, "value": -1.0}]})"));
}

}  // namespace
}  // namespace longshot::eval
