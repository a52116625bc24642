#include "train/advantage/token_steps.h"

#include <gtest/gtest.h>

namespace longshot::train {
namespace {

using Steps = std::vector<size_t>;

// "ab\n\ncd" in the steps "ab\n" and "\nc".
TEST(TokenSteps, ATokenBelongsToTheStepInWhichItBegins) {
  const std::vector<data::StepValue> steps = {{3, 0.5}, {5, 1}};
  const std::vector<int> characters = {0, 1, 2, 3, 4, 5, 6};  // and the end of the sequence
  EXPECT_EQ(token_steps(steps, characters), (Steps{0, 0, 0, 1, 1, 2, 2}));
  const std::vector<int> across = {0, 2, 4};  // "ab", "\n\n", "cd"
  EXPECT_EQ(token_steps(steps, across), (Steps{0, 0, 1}));
}

TEST(TokenSteps, AStepMayHaveNoTokenAndACharacterSeveral) {
  const std::vector<data::StepValue> steps = {{1, 1}, {2, 1}, {9, 1}};
  EXPECT_EQ(token_steps(steps, std::vector<int>{0, 0, 0, 3}), (Steps{0, 0, 0, 2}));
  EXPECT_EQ(token_steps({}, std::vector<int>{0, 1}), (Steps{0, 0}));
}

}  // namespace
}  // namespace longshot::train
