#include "curate/duplicates/bands.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longshot::curate {
namespace {

TEST(Bands, HaveTheProbabilityOfTheFormula) {
  EXPECT_DOUBLE_EQ(candidate_probability({1, 1}, 0.3), 0.3);
  EXPECT_DOUBLE_EQ(candidate_probability({1, 3}, 0.5), 0.125);
  EXPECT_NEAR(candidate_probability({2, 2}, 0.5), 1 - 0.75 * 0.75, 1e-15);
}

TEST(Bands, ReachTheRecallAtTheThreshold) {
  for (const double threshold : {0.5, 0.7, 0.8, 0.9, 0.95}) {
    const auto bands = choose_bands(threshold, 96);
    ASSERT_TRUE(bands.ok());
    EXPECT_LE(bands->functions(), 96);
    EXPECT_GE(candidate_probability(*bands, threshold), kLeastRecall);
    EXPECT_LT(candidate_probability({96 / (bands->rows + 1), bands->rows + 1}, threshold),
              kLeastRecall);
  }
  EXPECT_EQ(choose_bands(0.8, 96)->rows, 6);
  EXPECT_NE(choose_bands(0.3, 4).status().message().find("at least 13"), std::string::npos);
}

}  // namespace
}  // namespace longshot::curate
