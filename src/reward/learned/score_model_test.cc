#include "reward/learned/score_model.h"

#include <gtest/gtest.h>

#include "reward/learned/testing.h"

namespace longshot::reward {
namespace {

TEST(ScoreModel, AScoreDoesNotDependOnTheOthers) {
  const RewardModelDirectory directory;
  auto model = *ScoreModel::load(directory.path(), "", "cpu", 2);
  std::vector<std::vector<data::TokenId>> sequences;
  for (const char* response : {"3", "44", "12345", "7"})
    sequences.push_back(*model->encode({{{"user", "1+2="}}, "", response}));
  const auto together = *model->scores(sequences);
  for (size_t i = 0; i < sequences.size(); ++i)
    EXPECT_EQ((*model->scores({sequences[i]}))[0], together[i]);
  EXPECT_NE(together[0], together[1]);
  EXPECT_TRUE(model->scores({})->empty());
}

TEST(ScoreModel, WhatItCannotReadIsAnError) {
  const RewardModelDirectory directory;
  auto model = *ScoreModel::load(directory.path(), "", "cpu", 1);
  const auto long_text = model->encode({{{"user", "1+2="}}, "", std::string(100, '1')});
  EXPECT_NE(long_text.status().message().find("64 positions"), std::string::npos);
  EXPECT_FALSE(model->encode({{{"user", "what?"}}, "", "1"}).ok());
}

TEST(ScoreModel, ALanguageModelIsNone) {
  const RewardModelDirectory directory(/*score_head=*/false);
  const auto model = ScoreModel::load(directory.path(), "", "cpu", 1);
  EXPECT_NE(model.status().message().find("longshot rm"), std::string::npos);
  EXPECT_EQ(ScoreModel::load("nowhere", "", "cpu", 1).status().code(), StatusCode::not_found);
}

}  // namespace
}  // namespace longshot::reward
