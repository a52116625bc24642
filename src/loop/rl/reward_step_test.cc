#include "loop/rl/reward_step.h"

#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

// `count` samples of each prompt, all judged or all failed for `reason`.
struct Batch {
  std::vector<data::Sample> samples;
  std::vector<data::Verdict> verdicts;

  Batch& add(const std::string& prompt, int count, const std::string& reason,
             data::FinishReason finish = data::FinishReason::stop) {
    for (int i = 0; i < count; ++i) {
      samples.emplace_back().prompt_id = prompt;
      samples.back().finish = finish;
      verdicts.emplace_back().scored = reason.empty() && finish == data::FinishReason::stop;
      verdicts.back().error = reason;
    }
    return *this;
  }
};

Status check(RewardWatch& watch, const Batch& batch) {
  return watch.check(batch.samples, batch.verdicts);
}

TEST(RewardWatch, AFirstIterationWithoutAnyVerdictEndsTheRunWithTheUsualReason) {
  RewardWatch watch;
  const Status status = check(watch, Batch().add("a", 1, "rare").add("a", 3, "python: broken"));
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_NE(status.message().find("4 finished samples could be judged: python: broken"),
            std::string::npos)
      << status.message();
}

TEST(RewardWatch, OneVerdictIsEnoughToContinue) {
  RewardWatch watch;
  EXPECT_TRUE(check(watch, Batch().add("a", 31, "broken").add("b", 1, "")).ok());
  EXPECT_EQ(watch.reason(), "broken");
  EXPECT_TRUE(check(watch, Batch().add("b", 4, "")).ok());
  EXPECT_EQ(watch.reason(), "");
}

TEST(RewardWatch, LaterOnlyManyFailuresOfSeveralPromptsEndTheRun) {
  RewardWatch watch;
  ASSERT_TRUE(check(watch, Batch().add("a", 4, "")).ok());
  EXPECT_TRUE(check(watch, Batch().add("bad row", 32, "broken")).ok());
  Batch all;
  for (const char* prompt : {"a", "b", "c", "d"}) all.add(prompt, 4, "service is gone");
  EXPECT_FALSE(check(watch, all).ok());
}

TEST(RewardWatch, PartialSamplesAreNotFailures) {
  RewardWatch watch;
  EXPECT_TRUE(check(watch, Batch().add("a", 4, "", data::FinishReason::partial)).ok());
  Batch one;
  one.add("a", 4, "", data::FinishReason::partial).add("b", 1, "broken");
  EXPECT_TRUE(check(watch, one).ok());
}

data::Group group_of(const std::string& prompt, const std::vector<double>& scores) {
  data::Group group;
  group.prompt.id = prompt;
  for (const double score : scores) {
    group.verdicts.emplace_back().scored = true;
    group.verdicts.back().score = score;
    group.verdicts.back().correct = score > 0;
  }
  group.verdicts.emplace_back();  // could not be judged
  return group;
}

TEST(Outcome, SuccessAndVarianceAreToldToTheSampler) {
  std::vector<data::Prompt> prompts(3);
  for (size_t i = 0; i < 3; ++i) prompts[i].id = std::to_string(i);
  prompts::SamplerOptions options;
  options.filter = prompts::Filter::greso;
  prompts::PromptSampler sampler(prompts, options, 1);
  record_outcome(sampler, group_of("0", {1, 0}));
  record_outcome(sampler, group_of("1", {1, 1}));
  record_outcome(sampler, group_of("1", {1, 1}));
  record_outcome(sampler, group_of("2", {0.1, 0.1}));
  record_outcome(sampler, group_of("2", {}));  // says nothing
  EXPECT_EQ(sampler.success_rate("0"), 0.5);
  EXPECT_EQ(sampler.success_rate("2"), 1);
  const auto& visits = sampler.snapshot().visits;
  EXPECT_EQ(visits[0].streak, 0);
  EXPECT_EQ(visits[1].streak, 2);
  EXPECT_EQ(visits[2].streak, -1);  // all right, but the score that trains is low
}

TEST(Outcome, ScoresThatDifferByRoundingHaveNoVariance) {
  EXPECT_TRUE(has_variance(group_of("0", {0.3, 0.4})));
  EXPECT_FALSE(has_variance(group_of("0", {0.1 + 0.2, 0.3})));
  EXPECT_FALSE(has_variance(group_of("0", {0.7})));
  EXPECT_FALSE(has_variance(group_of("0", {})));
}

}  // namespace
}  // namespace longshot::loop
