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

}  // namespace
}  // namespace longshot::loop
