#include "train/loss/preference_loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longshot::train {
namespace {

TEST(PairLoss, ClosedForm) {
  EXPECT_DOUBLE_EQ(pair_loss(0).loss, std::log(2.0));
  EXPECT_DOUBLE_EQ(pair_loss(0).gradient, -0.5);
  // exp(margin) = 3: the better one wins with probability 3 / 4.
  EXPECT_NEAR(pair_loss(std::log(3.0)).loss, std::log(4.0 / 3.0), 1e-15);
  EXPECT_NEAR(pair_loss(std::log(3.0)).gradient, -0.25, 1e-15);
  EXPECT_NEAR(pair_loss(-std::log(3.0)).loss, std::log(4.0), 1e-15);
}

TEST(LabelLoss, ClosedForm) {
  const double score = std::log(4.0);  // sigmoid 0.8
  EXPECT_NEAR(label_loss(score, 1).loss, -std::log(0.8), 1e-15);
  EXPECT_NEAR(label_loss(score, 0).loss, -std::log(0.2), 1e-15);
  EXPECT_NEAR(label_loss(score, 1).gradient, -0.2, 1e-15);
  EXPECT_NEAR(label_loss(score, 0).gradient, 0.8, 1e-15);
  // At the minimum, where the loss is the label's entropy.
  EXPECT_NEAR(label_loss(score, 0.8).gradient, 0, 1e-15);
}

TEST(ScoreLosses, TheGradientIsTheDerivative) {
  constexpr double kStep = 1e-6;
  for (const double x : {-30.0, -3.0, -0.1, 0.0, 0.4, 5.0, 30.0}) {
    const auto slope = [&](auto&& f) {
      return (f(x + kStep).loss - f(x - kStep).loss) / (2 * kStep);
    };
    EXPECT_NEAR(slope(pair_loss), pair_loss(x).gradient, 1e-8) << x;
    for (const double label : {0.0, 0.3, 1.0}) {
      const auto loss = [&](double score) { return label_loss(score, label); };
      EXPECT_NEAR(slope(loss), loss(x).gradient, 1e-8) << x << " " << label;
    }
  }
}

TEST(ScoreLosses, StayFiniteFarOut) {
  EXPECT_DOUBLE_EQ(pair_loss(-1e4).loss, 1e4);
  EXPECT_DOUBLE_EQ(pair_loss(1e4).loss, 0);
  EXPECT_DOUBLE_EQ(label_loss(-1e4, 1).loss, 1e4);
  EXPECT_DOUBLE_EQ(label_loss(1e4, 0).gradient, 1);
}

}  // namespace
}  // namespace longshot::train
