#include "eval/sample_records.h"

#include <gtest/gtest.h>

namespace longshot::eval {
namespace {

data::Group group(int samples) {
  data::Group group;
  group.prompt.messages = {{"system", "Be short."}, {"user", "2 + 3 = ?"}};
  group.prompt.ground_truth = "5";
  group.samples.resize(static_cast<size_t>(samples));
  group.verdicts.resize(static_cast<size_t>(samples));
  return group;
}

TEST(SampleRecords, ShowTheConversationAndTheVerdict) {
  data::Group judged = group(2);
  judged.samples[0].text = "It is 5.";
  judged.samples[0].tokens.resize(4);
  judged.samples[0].finish = data::FinishReason::stop;
  judged.verdicts[0].scored = judged.verdicts[0].correct = true;
  judged.verdicts[0].score = 1;
  judged.verdicts[1].error = "no answer in time";
  const auto records = sample_records({judged}, -1);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].prompt, "system: Be short.\nuser: 2 + 3 = ?\n");
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
  EXPECT_EQ(sample_records(groups, 3).size(), 3u);
  EXPECT_EQ(sample_records(groups, 0).size(), 0u);
  EXPECT_EQ(sample_records(groups, -1).size(), 4u);
}

TEST(SampleRecords, ContainThePromptAsTextAndTheValuesOfSteps) {
  data::Group group;
  group.prompt.messages = {{"system", "S"},
                           {"user", std::vector<data::ContentPart>{{data::PartKind::text, "a"},
                                                                   {data::PartKind::text, "b"}}}};
  group.samples.resize(2);
  group.verdicts.resize(2);
  group.verdicts[1].step_values = {{"python", {{2, 0.5}, {7, -1}}}};
  const auto records = sample_records({group}, -1);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].prompt, "system: S\nuser: ab\n");
  EXPECT_FALSE(Json::parse(sample_line(1, records[0])).contains("step_values"));
  EXPECT_EQ(Json::parse(sample_line(1, records[1]))["step_values"],
            Json::parse(R"({"python": [{"end": 2, "value": 0.5}, {"end": 7, "value": -1.0}]})"));
}

}  // namespace
}  // namespace longshot::eval
