#include "eval/judgements.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longshot::eval {
namespace {

// Worked by hand: p 0.9 0.8 0.55 0.4 0.35 0.1, right y y n y n n.
const std::vector<Judgement> kTable = {{0.9, true}, {0.8, true},   {0.55, false},
                                       {0.4, true}, {0.35, false}, {0.1, false}};

TEST(Judgements, AHandWorkedTable) {
  const JudgementFigures f = summarize(kTable);
  EXPECT_EQ(f.count, 6);
  EXPECT_EQ(f.right, 3);
  EXPECT_DOUBLE_EQ(f.accuracy, 4.0 / 6);
  EXPECT_DOUBLE_EQ(f.accuracy_of_right, 2.0 / 3);
  EXPECT_DOUBLE_EQ(f.accuracy_of_wrong, 2.0 / 3);
  EXPECT_NEAR(f.brier, (0.01 + 0.04 + 0.3025 + 0.36 + 0.1225 + 0.01) / 6, 1e-12);
  // Of the nine pairs of a right and a wrong response only (0.4, 0.55) is in the wrong order.
  EXPECT_NEAR(f.auc, 8.0 / 9, 1e-12);
  EXPECT_LT(f.low, f.accuracy);
  EXPECT_GT(f.high, f.accuracy);
}

TEST(Judgements, BinsAndTheirError) {
  const JudgementFigures f =
      summarize({{0.62, true}, {0.68, false}, {1.0, true}, {0.0, false}, {0.31, false}});
  EXPECT_EQ(f.bins[6].count, 2);
  EXPECT_DOUBLE_EQ(f.bins[6].probability, 0.65);
  EXPECT_DOUBLE_EQ(f.bins[6].right, 0.5);
  EXPECT_EQ(f.bins[9].count, 1);  // 1 belongs to the last bin
  EXPECT_EQ(f.bins[0].count, 1);
  EXPECT_EQ(f.bins[5].count, 0);
  EXPECT_NEAR(f.calibration_error, (2 * 0.15 + 0 + 0 + 0.31) / 5, 1e-12);
}

TEST(Judgements, TiesCountHalf) {
  EXPECT_DOUBLE_EQ(summarize({{0.5, true}, {0.5, false}}).auc, 0.5);
  EXPECT_DOUBLE_EQ(summarize({{0.5, true}, {0.5, false}, {0.7, true}, {0.2, false}}).auc, 3.5 / 4);
  EXPECT_DOUBLE_EQ(pair_accuracy({{2, 1}, {1, 2}, {3, 3}, {-1, -2}}), 2.5 / 4);
}

TEST(Judgements, OneClassHasNoCurve) {
  const JudgementFigures f = summarize({{0.9, true}, {0.2, true}});
  EXPECT_TRUE(std::isnan(f.auc));
  EXPECT_TRUE(std::isnan(f.accuracy_of_wrong));
  EXPECT_TRUE(to_json(f)["auc"].is_null());
  EXPECT_EQ(to_json(f)["bins"].size(), 10u);
}

}  // namespace
}  // namespace longshot::eval
