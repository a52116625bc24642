#include "train/policy/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace longshot::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

data::Sample sample(std::vector<data::TokenId> tokens, std::vector<data::Segment> segments) {
  data::Sample s;
  s.prompt_id = "p";
  s.prompt_tokens = {7, 8};
  s.logprobs.assign(tokens.size(), -0.5f);
  s.tokens = std::move(tokens);
  s.segments = std::move(segments);
  s.finish = data::FinishReason::stop;
  return s;
}

data::Verdict scored(double score) {
  data::Verdict v;
  v.scored = true;
  v.score = score;
  return v;
}

data::Group group(std::vector<data::Sample> samples, std::vector<data::Verdict> verdicts) {
  data::Group g;
  g.prompt.id = "p";
  g.samples = std::move(samples);
  g.verdicts = std::move(verdicts);
  return g;
}

TEST(Rows, ARowIsThePromptThenTheResponseWithTheLossOnTheResponse) {
  const auto set = make_rows({group({sample({1, 2, 3}, {{0, 3, 4}})}, {scored(0.5)})}, false, 4);
  ASSERT_TRUE(set.ok());
  ASSERT_EQ(set->rows.size(), 1u);
  const auto& row = set->rows[0];
  EXPECT_THAT(row.tokens, ElementsAre(7, 8, 1, 2, 3));
  EXPECT_THAT(row.loss_mask, ElementsAre(0, 0, 1, 1, 1));
  EXPECT_THAT(row.logprobs, ElementsAre(0, 0, -.5f, -.5f, -.5f));
  EXPECT_EQ(row.prompt_length, 2);
  EXPECT_EQ(row.reward, 0.5);
}

TEST(Rows, EarlierSegmentsAreOutOfTheLossUnlessAskedFor) {
  const auto g = group({sample({1, 2, 3}, {{0, 2, 3}, {2, 3, 4}})}, {scored(1)});
  EXPECT_THAT(make_rows({g}, false, 4)->rows[0].loss_mask, ElementsAre(0, 0, 0, 0, 1));
  EXPECT_THAT(make_rows({g}, true, 4)->rows[0].loss_mask, ElementsAre(0, 0, 1, 1, 1));
}

TEST(Rows, TokensOfThePresentVersionAreFresh) {
  const auto g = group({sample({1, 2, 3}, {{0, 2, 3}, {2, 3, 4}})}, {scored(1)});
  EXPECT_THAT(make_rows({g}, true, 4)->rows[0].fresh, ElementsAre(0, 0, 0, 0, 1));
  EXPECT_THAT(make_rows({g}, true, 3)->rows[0].fresh, ElementsAre(0, 0, 1, 1, 0));
  EXPECT_THAT(make_rows({g}, true, 5)->rows[0].fresh, ElementsAre(0, 0, 0, 0, 0));
}

TEST(Rows, SamplesThatCannotBeTrainedOnAreCountedByReason) {
  auto aborted = sample({1}, {{0, 1, 0}}), partial = aborted, good = aborted;
  aborted.finish = data::FinishReason::aborted;
  partial.finish = data::FinishReason::partial;
  const auto empty = sample({}, {});
  const auto set = make_rows({group({aborted, partial, good, good, empty},
                                    {scored(1), scored(1), data::Verdict{}, scored(1), scored(0)}),
                              group({good}, {data::Verdict{}}), group({good}, {scored(0)})},
                             false, 0);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->aborted, 1);
  EXPECT_EQ(set->partial, 1);
  EXPECT_EQ(set->erred, 2);
  EXPECT_EQ(set->empty, 1);
  EXPECT_EQ(set->groups, 2);
  ASSERT_EQ(set->rows.size(), 2u);
  EXPECT_EQ(set->rows[0].group, 0);
  EXPECT_EQ(set->rows[1].group, 2);
  Metrics metrics;
  set->report(metrics);
  EXPECT_EQ(metrics["actor/excluded/erred"], 2);
  EXPECT_EQ(metrics["actor/samples"], 2);
}

TEST(Rows, WithoutAPromptTheFirstTokenHasNoPredictor) {
  auto s = sample({1, 2}, {{0, 2, 0}}), alone = sample({1}, {{0, 1, 0}});
  s.prompt_tokens.clear();
  alone.prompt_tokens.clear();
  const auto set = make_rows({group({s, alone}, {scored(1), scored(1)})}, false, 0);
  ASSERT_TRUE(set.ok());
  ASSERT_EQ(set->rows.size(), 1u);
  EXPECT_THAT(set->rows[0].loss_mask, ElementsAre(0, 1));
  EXPECT_EQ(set->empty, 1);
}

TEST(Rows, MalformedSamplesAreErrorsThatNameTheSample) {
  auto s = sample({1, 2}, {{0, 2, 0}});
  s.index = 5;
  auto short_logprobs = s, gap = s, infinite = s;
  short_logprobs.logprobs.pop_back();
  gap.segments = {{0, 1, 0}};
  infinite.logprobs[1] = -std::numeric_limits<float>::infinity();
  for (const auto& bad : {short_logprobs, gap, infinite}) {
    const auto set = make_rows({group({bad}, {scored(1)})}, false, 0);
    ASSERT_FALSE(set.ok());
    EXPECT_THAT(set.status().message(), HasSubstr("sample 5 of prompt 'p'"));
  }
  const auto nan =
      make_rows({group({s}, {scored(std::numeric_limits<double>::quiet_NaN())})}, false, 0);
  EXPECT_THAT(nan.status().message(), HasSubstr("score"));
  EXPECT_THAT(make_rows({group({s}, {})}, false, 0).status().message(), HasSubstr("verdicts"));
}

}  // namespace
}  // namespace longshot::train
