#include "train/loss/policy_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>

#include "base/rng.h"

namespace longshot::train {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;

struct Evaluated {
  ResponseLoss out;
  std::vector<double> grad;
};

Evaluated evaluate(const std::string& name, const std::vector<double>& present,
                   const std::vector<double>& recorded, Advantages advantage,
                   ObjectiveOptions options) {
  Evaluated e;
  e.grad.resize(present.size());
  const Objective* objective = find_objective(name);
  EXPECT_NE(objective, nullptr) << name;
  e.out = objective->compute({present, recorded, advantage}, options, e.grad);
  return e;
}

auto near(double v) {
  return DoubleNear(v, 1e-12);
}

TEST(Objective, KimiMatchesTheHandWorkedTable) {
  // L = -1.5, rho = 0.5, A = 0.25, tau = 0.1
  const auto e = evaluate("kimi", {-1.0, -0.5}, {-1.2, -0.8}, 0.25, {.tau = 0.1});
  EXPECT_NEAR(e.out.kl, 0.05 * 0.25, 1e-12);
  EXPECT_NEAR(e.out.loss, 0.375 + 0.0125, 1e-12);
  EXPECT_THAT(e.grad, Each(near(-0.25 + 0.05)));
}

TEST(Objective, KimiLogzIsTheSquaredSurrogateOverTwoTau) {
  const auto e = evaluate("kimi_logz", {-1.0, -0.5}, {-1.2, -0.8}, 0.25, {.tau = 0.1});
  EXPECT_NEAR(e.out.loss, 0.2 * 0.2 / 0.2, 1e-12);
  EXPECT_THAT(e.grad, Each(near(-0.2)));
}

TEST(Objective, BothKimiFormsHaveTheSameGradientForTheSameAdvantage) {
  const auto a = evaluate("kimi", {-1, -2, -3}, {-1.5, -1, -4}, -0.7, {.tau = 0.3});
  const auto b = evaluate("kimi_logz", {-1, -2, -3}, {-1.5, -1, -4}, -0.7, {.tau = 0.3});
  for (size_t t = 0; t < 3; ++t) EXPECT_NEAR(a.grad[t], b.grad[t], 1e-14);
}

// The gradient of the Kimi k1.5 report, with rewards and baseline written out: (1/k) sum_j [ (r_j -
// mean r) grad log pi_j - (tau / 2) grad (log pi_j / pi_i,j)^2 ] = (1/k) sum_j [ (r_j - mean r) -
// tau rho_j ] for each token's log-probability.
TEST(Objective, KimiGradientIsTheNegativeOfTheReports) {
  const double tau = 0.4;
  const std::vector<double> rewards = {1, 0, 0};
  const std::vector<std::vector<double>> present = {{-1, -2}, {-0.5}, {-3, -1, -1}};
  const std::vector<std::vector<double>> recorded = {{-1.1, -1.7}, {-0.9}, {-2, -1, -1.5}};
  const auto weights = response_weights({7, 7, 7});
  for (size_t j = 0; j < rewards.size(); ++j) {
    const double advantage = rewards[j] - 1.0 / 3.0;
    double rho = 0;
    for (size_t t = 0; t < present[j].size(); ++t) rho += present[j][t] - recorded[j][t];
    const double report = (advantage - tau * rho) / 3.0;
    const auto e = evaluate("kimi", present[j], recorded[j], advantage, {.tau = tau});
    for (const double g : e.grad) EXPECT_NEAR(weights[j] * g, -report, 1e-14);
  }
}

TEST(Objective, LengthMeanDividesTheSequenceByItsLength) {
  const auto e =
      evaluate("kimi", {-1.0, -0.5}, {-1.2, -0.8}, 0.25, {.tau = 0.1, .length_mean = true});
  EXPECT_NEAR(e.out.loss, 0.25 * 0.75 + 0.05 * 0.0625, 1e-12);
  EXPECT_THAT(e.grad, Each(near(0.5 * (-0.25 + 0.1 * 0.25))));
}

TEST(Objective, PolicyGradientIsBlindToTheRecordedPolicy) {
  const auto e = evaluate("pg", {-1.0, -0.5}, {-9, -9}, 2, {});
  EXPECT_NEAR(e.out.loss, 3, 1e-12);
  EXPECT_THAT(e.grad, Each(near(-2)));
}

TEST(Objective, GrpoClipsOnlyTheSideThatHelps) {
  const double up = std::log(1.5), down = std::log(0.5);
  const auto gain = evaluate("grpo", {up, down, 0}, {0, 0, 0}, 1, {});
  EXPECT_THAT(gain.grad, ElementsAre(near(0), near(-0.5), near(-1)));
  EXPECT_NEAR(gain.out.loss, -(1.2 + 0.5 + 1), 1e-12);
  EXPECT_EQ(gain.out.clipped, 1);
  const auto loss = evaluate("grpo", {up, down, 0}, {0, 0, 0}, -1, {});
  EXPECT_THAT(loss.grad, ElementsAre(near(1.5), near(0), near(1)));
  EXPECT_NEAR(loss.out.loss, 1.5 + 0.8 + 1, 1e-12);
  EXPECT_EQ(loss.out.clipped, 1);
}

// w = 1.5, 0.5, 1: clipped to 1.2 and 0.8.
TEST(Objective, CispoLimitsTheWeightsAndKeepsEveryGradient) {
  const double up = std::log(1.5), down = std::log(0.5);
  const auto e = evaluate("cispo", {up, down, -1}, {0, 0, -1}, 2, {});
  EXPECT_THAT(e.grad, ElementsAre(near(-2.4), near(-1.6), near(-2)));
  EXPECT_NEAR(e.out.loss, -2 * (1.2 * up + 0.8 * down - 1), 1e-12);
  EXPECT_EQ(e.out.clipped, 2);
}

// rho = 0.3 + 0.1 = 0.4 over two tokens: s = exp(0.2) = 1.2214 is above 1.2.
TEST(Objective, GspoHasOneRatioForTheResponse) {
  const std::vector<double> present = {-0.7, -0.9}, recorded = {-1, -1};
  const double s = std::exp(0.2);
  const auto gain = evaluate("gspo", present, recorded, 1, {});
  EXPECT_NEAR(gain.out.loss, -1.2, 1e-12);
  EXPECT_THAT(gain.grad, Each(near(0)));
  EXPECT_EQ(gain.out.clipped, 2);
  const auto loss = evaluate("gspo", present, recorded, -1, {});
  EXPECT_NEAR(loss.out.loss, s, 1e-12);
  EXPECT_THAT(loss.grad, Each(near(s / 2)));
  const auto wide = evaluate("gspo", present, recorded, 1, {.clip_high = 0.3});
  EXPECT_NEAR(wide.out.loss, -s, 1e-12);
  EXPECT_THAT(wide.grad, Each(near(-s / 2)));
}

BoundObjective bound(const AlgorithmOptions& a) {
  return make_objective(a);
}

TEST(Objective, ConstantDividesByTheLimitOfTheResponse) {
  AlgorithmOptions a;
  a.name = Algorithm::grpo;
  a.length_normalize = LengthNormalize::constant;
  a.max_response_length = 8;
  std::vector<double> grad(2);
  const auto out = bound(a)({std::vector<double>{-1, -2}, std::vector<double>{-1, -2}, 3.0}, grad);
  EXPECT_NEAR(out.loss, -2 * 3 / 8.0, 1e-12);
  EXPECT_THAT(grad, Each(near(-3 / 8.0)));
}

TEST(Objective, TokenWeightsAreEqualForAllTokensOfAMiniBatch) {
  EXPECT_THAT(token_weights({3, 1, 6}), Each(near(0.1)));
  EXPECT_THAT(token_weights({0, 0}), Each(near(0)));
}

// l - q = 0.2 and -0.4.
//   k1: 0.2, -0.4; slope 1, 1
//   k2: 0.02, 0.08; slope 0.2, -0.4
//   k3: exp(-0.2) + 0.2 - 1 = 0.0187307531, exp(0.4) - 0.4 - 1 = 0.0918246976;
//       slope 1 - exp(-0.2), 1 - exp(0.4)
TEST(Objective, EveryAlgorithmTakesEachKlPenalty) {
  const std::vector<double> present = {-1, -0.5}, fixed = {-1.2, -0.1};
  const std::map<KlEstimator, std::pair<double, std::vector<double>>> table = {
      {KlEstimator::k1, {-0.2, {1, 1}}},
      {KlEstimator::k2, {0.1, {0.2, -0.4}}},
      {KlEstimator::k3, {0.0187307531 + 0.0918246976, {1 - std::exp(-0.2), 1 - std::exp(0.4)}}}};
  for (const Algorithm name : all_of<Algorithm>()) {
    for (const auto& [estimator, expected] : table) {
      AlgorithmOptions a;
      a.name = name;
      a.kl_estimator = estimator;
      a.kl_reference = "model";
      std::vector<double> without(2), with(2);
      (void)bound(a)({present, present, 1.0, fixed}, without);
      a.kl_coef = 0.5;
      const auto out = bound(a)({present, present, 1.0, fixed}, with);
      const double scale = name == Algorithm::gspo ? 0.5 : 1;
      EXPECT_NEAR(out.kl, 0.5 * scale * expected.first, 1e-10) << name_of(name);
      for (size_t t = 0; t < 2; ++t)
        EXPECT_NEAR(with[t] - without[t], 0.5 * scale * expected.second[t], 1e-10)
            << name_of(name) << " " << name_of(estimator);
      a.kl_place = KlPlace::reward;
      (void)bound(a)({present, present, 1.0, fixed}, with);
      EXPECT_EQ(with, without) << "a penalty of the reward is not part of the loss";
    }
  }
}

// exp(o - b) = 3, 1, 0.25: limited to 2 above, or set to 0 outside of [0.5, 2].
TEST(Objective, RolloutWeightsMultiplyTheAdvantages) {
  const std::vector<double> present = {-1, -1, -1};
  const std::vector<double> drawn = {-1 - std::log(3.0), -1, -1 + std::log(4.0)};
  AlgorithmOptions a;
  a.name = Algorithm::grpo;
  a.rollout_weights = RolloutWeights::truncate;
  std::vector<double> grad(3);
  auto out = bound(a)({present, present, 1.0, {}, drawn}, grad);
  EXPECT_THAT(grad, ElementsAre(near(-2), near(-1), near(-0.25)));
  EXPECT_NEAR(out.rollout_weights, 3.25, 1e-12);
  EXPECT_EQ(out.limited_weights, 1);
  a.rollout_weights = RolloutWeights::mask;
  out = bound(a)({present, present, 1.0, {}, drawn}, grad);
  EXPECT_THAT(grad, ElementsAre(near(0), near(-1), near(0)));
  EXPECT_EQ(out.limited_weights, 2);
}

// beta = 0.5, tokens (l, o, q): (-1, -1, -1.2), (-0.5, -0.5, -0.1), A = 1, mean over two tokens.
//   k3: exp(-0.2) + 0.2 - 1 = 0.0187307531, exp(0.4) - 0.4 - 1 = 0.0918246976
//   gradient: (-1 + 0.5 (1 - exp(-0.2))) / 2 and (-1 + 0.5 (1 - exp(0.4))) / 2
TEST(Objective, GrpoMeasuresItsPenaltyAgainstAModelOfItsOwn) {
  const std::vector<double> present = {-1, -0.5}, model = {-1.2, -0.1};
  std::vector<double> grad(2);
  AlgorithmOptions a;
  a.name = Algorithm::grpo;
  a.length_normalize = LengthNormalize::mean;
  a.kl_coef = 0.5;
  const auto out = bound(a)({present, present, 1, model}, grad);
  EXPECT_NEAR(out.kl, 0.5 * (0.0187307531 + 0.0918246976) / 2, 1e-10);
  EXPECT_NEAR(out.loss, -1 + out.kl, 1e-12);
  EXPECT_THAT(grad, ElementsAre(near(-0.5 + 0.25 * (1 - std::exp(-0.2))),
                                near(-0.5 + 0.25 * (1 - std::exp(0.4)))));
}

TEST(Objective, GrpoStaysFiniteForTokensThatOnePolicyExcludes) {
  const std::vector<double> present = {-1, -1000}, reference = {-1000, -1};
  std::vector<double> grad(2);
  for (const double advantage : {1.0, -1.0}) {
    AlgorithmOptions a;
    a.name = Algorithm::grpo;
    a.kl_coef = 1;
    const auto out = bound(a)({present, reference, advantage}, grad);
    EXPECT_TRUE(std::isfinite(out.loss));
    for (const double g : grad) EXPECT_LT(std::abs(g), 1e9);
    EXPECT_LT(grad[1], 0);  // the penalty pulls the excluded token back
  }
}

TEST(Objective, TheReferenceIsReadWhereTheTableSaysSo) {
  for (const Algorithm name : all_of<Algorithm>()) {
    AlgorithmOptions a;
    a.name = name;
    const BoundObjective bound = make_objective(a);
    std::vector<double> near_grad(1), far_grad(1);
    const std::vector<double> present = {-1}, near_by = {-1}, far = {-1.1};
    (void)bound({present, near_by, 1}, near_grad);
    (void)bound({present, far, 1}, far_grad);
    EXPECT_EQ(bound.reads_reference, near_grad != far_grad) << name_of(name);
  }
}

TEST(Objective, GradientsMatchCentralDifferences) {
  CounterRng rng(3);
  double worst = 0;
  for (const auto& objective : objectives()) {
    if (objective.name == std::string("cispo")) continue;  // its weights are not differentiated
    for (const bool length_mean : {false, true}) {
      const ObjectiveOptions options{.tau = 0.3, .length_mean = length_mean};
      std::vector<double> present, recorded;
      for (int t = 0; t < 12; ++t) {
        present.push_back(-2 * rng.next_double() - 0.1);
        recorded.push_back(present.back() + 0.8 * (rng.next_double() - 0.5));
      }
      const double advantage = rng.next_double() - 0.5, h = 1e-6;
      const auto exact = evaluate(objective.name, present, recorded, advantage, options);
      for (size_t t = 0; t < present.size(); ++t) {
        auto high = present, low = present;
        high[t] += h;
        low[t] -= h;
        const double numeric =
            (evaluate(objective.name, high, recorded, advantage, options).out.loss -
             evaluate(objective.name, low, recorded, advantage, options).out.loss) /
            (2 * h);
        worst = std::max(worst, std::abs(numeric - exact.grad[t]));
        EXPECT_NEAR(numeric, exact.grad[t], 1e-8) << objective.name << " token " << t;
      }
    }
  }
  std::printf("largest difference from central differences: %.1e\n", worst);
}

TEST(Objective, EachTokenMayHaveItsOwnAdvantage) {
  CounterRng rng(4);
  double worst = 0;
  for (const auto& objective : objectives()) {
    // The weights of cispo, and the ratio of gspo with an advantage a token, are constants.
    const bool differentiable =
        objective.name != std::string("cispo") && objective.name != std::string("gspo");
    for (const bool length_mean : {false, true}) {
      const ObjectiveOptions options{.tau = 0.3, .length_mean = length_mean};
      std::vector<double> present, recorded, advantages;
      for (int t = 0; t < 9; ++t) {
        present.push_back(-2 * rng.next_double() - 0.1);
        recorded.push_back(present.back() + 0.8 * (rng.next_double() - 0.5));
        advantages.push_back(rng.next_double() - 0.5);
      }
      const auto loss = [&](const std::vector<double>& at) {
        return evaluate(objective.name, at, recorded, std::span<const double>(advantages), options)
            .out.loss;
      };
      const auto exact =
          evaluate(objective.name, present, recorded, std::span<const double>(advantages), options);
      for (size_t t = 0; differentiable && t < present.size(); ++t) {
        constexpr double h = 1e-6;
        auto high = present, low = present;
        high[t] += h;
        low[t] -= h;
        const double numeric = (loss(high) - loss(low)) / (2 * h);
        worst = std::max(worst, std::abs(numeric - exact.grad[t]));
        EXPECT_NEAR(numeric, exact.grad[t], 1e-8) << objective.name << " token " << t;
      }
      // Equal values for all tokens are one value.
      const std::vector<double> same(present.size(), 0.25);
      const auto each =
          evaluate(objective.name, present, recorded, std::span<const double>(same), options);
      const auto one = evaluate(objective.name, present, recorded, 0.25, options);
      for (size_t t = 0; t < present.size(); ++t) EXPECT_EQ(each.grad[t], one.grad[t]);
    }
  }
  std::printf("largest difference from central differences: %.1e\n", worst);
}

TEST(Objective, WeightsAreAMeanOverProblemsOfAMeanOverResponses) {
  EXPECT_THAT(response_weights({4, 4, 9, 9, 9, 9}),
              ElementsAre(near(.25), near(.25), near(.125), near(.125), near(.125), near(.125)));
}

TEST(Objective, KlEstimatesAreZeroForEqualPoliciesAndK3IsNeverNegative) {
  KlEstimate same;
  same.add(std::vector<double>{-1, -2}, std::vector<double>{-1, -2});
  EXPECT_EQ(same.k1(), 0);
  EXPECT_EQ(same.k3(), 0);
  KlEstimate moved;
  moved.add(std::vector<double>{-1}, std::vector<double>{-2});
  EXPECT_NEAR(moved.k1(), -1, 1e-12);
  EXPECT_NEAR(moved.k3(), std::exp(1.0) - 2, 1e-12);
}

}  // namespace
}  // namespace longshot::train
