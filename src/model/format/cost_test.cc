#include "model/format/cost.h"

#include <gtest/gtest.h>

#include "model/format/testing.h"

namespace longshot::model {
namespace {

// Width 8, heads of 4 (4 for queries, 2 for keys), inner width 12, 2 layers, vocabulary 11. The
// matrices of a layer: q 16x8, k and v 8x8, out 8x16, three of 12x8 = 128 + 64 + 64 + 128 + 288
// = 672.
TEST(Cost, ByHand) {
  const ModelConfig c = tiny_config("llama");
  EXPECT_EQ(forward_flops(c, {.tokens = 1}), 2 * 2 * 672);
  EXPECT_EQ(forward_flops(c, {.targets = 3}), 3 * 2 * 8 * 11);
  EXPECT_EQ(forward_flops(c, {.pairs = 5}), 5 * 2 * 2 * 2 * 16);
  EXPECT_EQ(training_flops(c, {.tokens = 1}), 3 * forward_flops(c, {.tokens = 1}));
  EXPECT_EQ(training_flops(c, {.pairs = 2}), 3.5 * forward_flops(c, {.pairs = 2}));
}

// A layer has 7 experts of width 12, of which a token passes through 2: 56 weights of the router
// and 2 * 288 of experts in place of the MLP's 288.
TEST(Cost, OfTheExpertsThatATokenPassesThrough) {
  EXPECT_EQ(forward_flops(tiny_config("mixtral"), {.tokens = 1}), 2 * 2 * (672 + 56 + 288));
}

}  // namespace
}  // namespace longshot::model
