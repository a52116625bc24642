#include "train/loss/dpo_loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longshot::train {
namespace {

// beta * delta = 0.5 * ((-4 + 5) - (-6 + 7 - 2 log 3)) = log 3, so the chosen response wins with
// probability 3/4.
const double kLog3 = std::log(3.0);
const ResponseLogprob kChosen{-4, -5, 2}, kRejected{-6 - 2 * kLog3, -7, 4};

struct Worked {
  DpoLoss loss;
  double beta, smoothing, expected, chosen_gradient, rejected_gradient;
};

TEST(DpoLoss, HandWorkedTable) {
  const double win = std::log(4.0 / 3),
               lose = std::log(4.0);                     // -log sigma(log 3), -log sigma(-log 3)
  const double ipo = 1.0 / 2 - (1 - 2 * kLog3) / 4 - 1;  // of the means, minus 1 / (2 * 0.5)
  const Worked table[] = {
      {DpoLoss::sigmoid, 0.5, 0, win, -0.5 * 0.25, 0.5 * 0.25},
      // d/d margin = -0.9 * 1/4 + 0.1 * 3/4 = -0.15
      {DpoLoss::sigmoid, 0.5, 0.1, 0.9 * win + 0.1 * lose, -0.5 * 0.15, 0.5 * 0.15},
      {DpoLoss::robust, 0.5, 0, win, -0.5 * 0.25, 0.5 * 0.25},
      // d/d margin = (-0.9 * 1/4 - 0.1 * 3/4) / 0.8 = -0.375
      {DpoLoss::robust, 0.5, 0.1, (0.9 * win - 0.1 * lose) / 0.8, -0.5 * 0.375, 0.5 * 0.375},
      {DpoLoss::ipo, 0.5, 0, ipo * ipo, 2 * ipo / 2, -2 * ipo / 4},
  };
  for (const Worked& row : table) {
    const PairLoss loss = dpo_loss(kChosen, kRejected, {row.loss, row.beta, row.smoothing});
    EXPECT_NEAR(loss.loss, row.expected, 1e-14) << name_of(row.loss) << row.smoothing;
    EXPECT_NEAR(loss.chosen_gradient, row.chosen_gradient, 1e-14) << name_of(row.loss);
    EXPECT_NEAR(loss.rejected_gradient, row.rejected_gradient, 1e-14) << name_of(row.loss);
    EXPECT_NEAR(loss.chosen_reward, 0.5, 1e-14);
    EXPECT_NEAR(loss.rejected_reward, 0.5 - kLog3, 1e-14);
  }
}

TEST(DpoLoss, APolicyThatIsItsReferenceHasTheLossOfAGuess) {
  const ResponseLogprob a{-3, -3, 2}, b{-9, -9, 5};
  EXPECT_DOUBLE_EQ(dpo_loss(a, b, {}).loss, std::log(2.0));
  EXPECT_DOUBLE_EQ(dpo_loss(a, b, {.loss = DpoLoss::ipo, .beta = 0.1}).loss, 25.0);
}

TEST(DpoLoss, TheGradientsAreTheDerivatives) {
  constexpr double kStep = 1e-6;
  for (const DpoLoss kind : all_of<DpoLoss>()) {
    for (const double smoothing : {0.0, 0.2}) {
      for (const double policy : {-40.0, -4.0, 0.3, 25.0}) {
        const DpoOptions options{kind, 0.3, kind == DpoLoss::ipo ? 0 : smoothing};
        const auto loss = [&](double chosen, double rejected) {
          return dpo_loss({policy + chosen, -5, 3}, {-6 + rejected, -8, 7}, options).loss;
        };
        const PairLoss at = dpo_loss({policy, -5, 3}, {-6, -8, 7}, options);
        EXPECT_NEAR((loss(kStep, 0) - loss(-kStep, 0)) / (2 * kStep), at.chosen_gradient, 1e-7);
        EXPECT_NEAR((loss(0, kStep) - loss(0, -kStep)) / (2 * kStep), at.rejected_gradient, 1e-7);
      }
    }
  }
}

TEST(DpoLoss, StaysFiniteFarOut) {
  EXPECT_DOUBLE_EQ(dpo_loss({-1e5, 0, 9}, {0, 0, 9}, {.beta = 0.1}).loss, 1e4);
  EXPECT_DOUBLE_EQ(dpo_loss({0, -1e5, 9}, {0, 0, 9}, {.beta = 0.1}).loss, 0);
}

}  // namespace
}  // namespace longshot::train
