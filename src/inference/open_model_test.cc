#include "inference/open_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::inference {
namespace {

using testing::HasSubstr;

model::ModelConfig with_positions(int positions) {
  model::ModelConfig config;
  config.max_position_embeddings = positions;
  return config;
}

int fitted(int positions, int longest_prompt, int response) {
  fit_default_response(with_positions(positions), longest_prompt, response);
  return response;
}

TEST(Lengths, ADefaultLeavesPromptsHalfOfASmallModel) {
  EXPECT_EQ(prompt_room(with_positions(2048), 512, true), 1536);
  EXPECT_EQ(prompt_room(with_positions(600), 512, true), 300);
  EXPECT_EQ(prompt_room(with_positions(128), 512, true), 64);
  EXPECT_EQ(prompt_room(with_positions(600), 512, false), 88);
  EXPECT_LE(prompt_room(with_positions(128), 512, false), 0);
}

TEST(Lengths, ADefaultIsLoweredToTheRoomBesideThePromptWithAWord) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(fitted(2048, 1536, 512), 512);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  EXPECT_EQ(fitted(128, 20, 512), 108);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("at most 108 tokens, not the default of 512: the model has 128 positions "
                        "and the longest prompt has 20 tokens"));
  EXPECT_EQ(fitted(128, 128, 512), 512);
}

}  // namespace
}  // namespace longshot::inference
