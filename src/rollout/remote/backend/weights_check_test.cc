#include "rollout/remote/backend/weights_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::rollout {
namespace {

using testing::HasSubstr;

// Log-probabilities that are `off` away from those of the weights of `version`.
ProbeAnswer answer(float version, float off, std::vector<data::TokenId> tokens = {1, 2, 3}) {
  const std::vector<float> own = {-1 - version, -2 - version, -3 - version};
  return {std::move(tokens), {own[0] + off, own[1] + off, own[2] + off}, own};
}

TEST(WeightsCheck, AServerThatFollowsTheWeightsIsSound) {
  WeightsCheck check(0.1);
  for (int version = 0; version < 5; ++version)
    EXPECT_TRUE(check.loaded(answer(0.01f * static_cast<float>(version), 0.02f)).ok());
}

TEST(WeightsCheck, OtherWeightsAreAnError) {
  WeightsCheck check(0.1);
  const Status wrong = check.loaded(answer(0, 0.3f));
  EXPECT_EQ(wrong.code(), StatusCode::invalid_argument);
  EXPECT_THAT(wrong.message(), HasSubstr("0.3000 nats on average"));
  ProbeAnswer broken = answer(0, 0);
  broken.logprobs[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(check.loaded(broken).ok());
}

// The difference to the new weights is far below the limit; that nothing moved gives it away.
TEST(WeightsCheck, WeightsThatDidNotChangeAreAnError) {
  WeightsCheck check(0.1);
  ASSERT_TRUE(check.loaded(answer(0, 0)).ok());
  ProbeAnswer stale = answer(0.01f, 0);
  stale.logprobs = answer(0, 0).logprobs;
  EXPECT_THAT(check.loaded(stale).message(), HasSubstr("generates with the old ones"));
}

TEST(WeightsCheck, SmallStepsThatNeverArriveAddUp) {
  WeightsCheck check(0.1);
  ASSERT_TRUE(check.loaded(answer(0, 0)).ok());
  int passed = 0;
  for (float version = 0.0004f; version < 0.01f; version += 0.0004f) {
    ProbeAnswer stale = answer(version, 0);
    stale.logprobs = answer(0, 0).logprobs;
    if (!check.loaded(stale).ok()) break;
    ++passed;
  }
  EXPECT_EQ(passed, 1);
}

// vLLM 0.32.0 on a CPU keeps packed copies of some matrices in compiled code.
TEST(WeightsCheck, APartOfTheWeightsThatDidNotArriveIsNoticed) {
  WeightsCheck check(0.1);
  ASSERT_TRUE(check.loaded(answer(0, 1e-5f)).ok());
  EXPECT_TRUE(check.loaded(answer(0.01f, 4e-4f)).ok());
  EXPECT_THAT(check.loaded(answer(0.02f, 1.3e-3f)).message(), HasSubstr("a part of the new"));
  WeightsCheck coarse(0.1);  // a server in bf16
  ASSERT_TRUE(coarse.loaded(answer(0, 0.01f)).ok());
  EXPECT_TRUE(coarse.loaded(answer(0.01f, 0.03f)).ok());
}

TEST(WeightsCheck, WeightsThatAreTheSameNeedNotMove) {
  WeightsCheck check(0.1);
  EXPECT_TRUE(check.loaded(answer(0, 0)).ok());
  EXPECT_TRUE(check.loaded(answer(0, 0)).ok());
}

TEST(WeightsCheck, WithoutOwnValuesTheServerIsBelieved) {
  WeightsCheck check(0.1);
  ProbeAnswer unknown = answer(0, 5);
  unknown.own.clear();
  EXPECT_TRUE(check.loaded(unknown).ok());
  EXPECT_TRUE(check.loaded(unknown).ok());
}

TEST(WeightsCheck, AServerThatWasStartedAgainIsNoticed) {
  WeightsCheck check(0.1);
  EXPECT_FALSE(check.unchanged(answer(0, 0)));
  ASSERT_TRUE(check.loaded(answer(0.5f, 0)).ok());
  EXPECT_TRUE(check.unchanged(answer(0.5f, 0.001f)));
  EXPECT_FALSE(check.unchanged(answer(0, 0)));
  EXPECT_FALSE(check.unchanged(answer(0.5f, 0, {4, 2, 3})));
  EXPECT_TRUE(check.unchanged(answer(0.5f, 0, {1, 2, 9})));  // rounding has changed a late draw
}

TEST(ProbePrompt, IdsAreWithinTheVocabulary) {
  for (const int vocab : {2, 17, 50000})
    for (const data::TokenId token : probe_prompt(vocab)) {
      EXPECT_GE(token, 0);
      EXPECT_LT(token, vocab);
    }
}

}  // namespace
}  // namespace longshot::rollout
