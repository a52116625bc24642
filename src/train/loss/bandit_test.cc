// A bandit whose optimum is known: one token, K answers, policy = softmax of K logits. One group
// holds each answer exactly as often as the reference policy would give it, so sample means are
// exact expectations.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "train/advantage/advantage.h"
#include "train/loss/policy_loss.h"

namespace longshot::train {
namespace {

const std::vector<int> kCounts = {8, 5, 4, 2, 1};  // reference: counts / 20
const std::vector<double> kRewards = {0, 1, 0, 0.5, 1};

std::vector<double> log_softmax(const std::vector<double>& logits) {
  double sum = 0;
  for (const double v : logits) sum += std::exp(v);
  std::vector<double> out;
  for (const double v : logits) out.push_back(v - std::log(sum));
  return out;
}

std::vector<double> reference() {
  std::vector<double> p;
  for (const int c : kCounts) p.push_back(c / 20.0);
  return p;
}

// Gradient descent on the logits through the group's advantages and the objective.
std::vector<double> optimum(const AlgorithmOptions& algorithm, int steps, double rate) {
  const BoundObjective objective = make_objective(algorithm);
  std::vector<size_t> answers;
  GroupValues rewards(1);
  for (size_t a = 0; a < kCounts.size(); ++a) {
    for (int c = 0; c < kCounts[a]; ++c) {
      answers.push_back(a);
      rewards[0].push_back(kRewards[a]);
    }
  }
  const GroupValues advantages = compute_advantages(algorithm, rewards);
  const auto weights = response_weights(std::vector<int64_t>(answers.size(), 0));
  const auto p = reference();
  std::vector<double> logits(p.size());
  for (size_t a = 0; a < p.size(); ++a) logits[a] = std::log(p[a]);

  for (int step = 0; step < steps; ++step) {
    const auto logprobs = log_softmax(logits);
    std::vector<double> gradient(p.size(), 0.0);
    for (size_t j = 0; j < answers.size(); ++j) {
      const std::vector<double> present = {logprobs[answers[j]]},
                                recorded = {std::log(p[answers[j]])};
      std::vector<double> g(1);
      objective({present, recorded, advantages[0][j]}, g);
      for (size_t a = 0; a < p.size(); ++a) {
        gradient[a] += weights[j] * g[0] * ((a == answers[j]) - std::exp(logprobs[a]));
      }
    }
    for (size_t a = 0; a < p.size(); ++a) logits[a] -= rate * gradient[a];
  }
  std::vector<double> policy;
  for (const double l : log_softmax(logits)) policy.push_back(std::exp(l));
  return policy;
}

// pi_i exp(r / tau) / Z
std::vector<double> boltzmann(double tau) {
  std::vector<double> out = reference();
  double z = 0;
  for (size_t a = 0; a < out.size(); ++a) z += out[a] *= std::exp(kRewards[a] / tau);
  for (double& v : out) v /= z;
  return out;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

AlgorithmOptions kimi(Baseline baseline, double tau) {
  AlgorithmOptions a;
  a.baseline = baseline;
  a.tau = tau;
  return a;
}

TEST(Bandit, LogzOptimumIsTheBoltzmannPolicy) {
  for (const double tau : {0.25, 0.5, 1.0, 4.0}) {
    const double error =
        distance(optimum(kimi(Baseline::logz, tau), 20000, 1.0 / tau), boltzmann(tau));
    std::printf("tau %.2f: largest |pi - pi*| %.1e\n", tau, error);
    EXPECT_LT(error, 1e-3) << tau;
  }
}

// With the mean baseline the stationary point solves, for each answer a,
//   rho_a + KL(pi_i || pi) exp(rho_a) = (r_a - mean r) / tau,   rho_a = log pi(a) / pi_i(a).
TEST(Bandit, MeanBaselineOptimumSolvesItsOwnEquation) {
  const double tau = 1.0, mean = (5 * 1 + 2 * 0.5 + 1 * 1) / 20.0;
  const auto p = reference(), pi = optimum(kimi(Baseline::mean, tau), 20000, 1.0);
  double kl = 0;
  for (size_t a = 0; a < p.size(); ++a) kl += p[a] * std::log(p[a] / pi[a]);
  EXPECT_GT(kl, 0.01);
  for (size_t a = 0; a < p.size(); ++a) {
    const double rho = std::log(pi[a] / p[a]);
    EXPECT_NEAR(rho + kl * std::exp(rho), (kRewards[a] - mean) / tau, 1e-6);
  }
}

TEST(Bandit, MeanBaselineApproachesTheBoltzmannPolicyAsTauGrows) {
  const auto error = [](double tau) {
    return distance(optimum(kimi(Baseline::mean, tau), 20000, 1.0 / tau), boltzmann(tau));
  };
  const double at_1 = error(1), at_4 = error(4), at_16 = error(16);
  std::printf("mean baseline: |pi - pi*| %.1e at tau 1, %.1e at 4, %.1e at 16\n", at_1, at_4,
              at_16);
  EXPECT_LT(at_4, at_1 / 8);  // the difference falls with tau^-2 or faster
  EXPECT_LT(at_16, at_4 / 8);
}

// On-policy the mean of k3 is KL(pi || q), and its gradient as a loss is that of KL(q || pi). With
// A_a = r_a - mean r and the weight beta the stationary policy is pi_a = beta q_a / (beta - A_a).
TEST(Bandit, TheGrpoPenaltyIsTheDivergenceFromItsModelAndHasItsFixedPoint) {
  AlgorithmOptions algorithm;
  algorithm.name = Algorithm::grpo;
  algorithm.kl_coef = 2;
  const BoundObjective objective = make_objective(algorithm);
  const auto q = reference();
  std::vector<double> logits(q.size(), 0.0), pi(q.size());
  double kl = 0, mean = 0;
  for (int step = 0; step < 20000; ++step) {
    const auto logprobs = log_softmax(logits);
    kl = mean = 0;
    for (size_t a = 0; a < q.size(); ++a) mean += (pi[a] = std::exp(logprobs[a])) * kRewards[a];
    std::vector<double> gradient(q.size(), 0.0);
    for (size_t a = 0; a < q.size(); ++a) {
      const std::vector<double> present = {logprobs[a]}, model = {std::log(q[a])};
      double g = 0;
      kl += pi[a] * objective({present, present, kRewards[a] - mean, model}, {&g, 1}).kl;
      for (size_t b = 0; b < q.size(); ++b) gradient[b] += pi[a] * g * ((a == b) - pi[b]);
    }
    for (size_t a = 0; a < q.size(); ++a) logits[a] -= 0.2 * gradient[a];
  }
  double exact = 0;
  for (size_t a = 0; a < q.size(); ++a) {
    exact += pi[a] * std::log(pi[a] / q[a]);
    EXPECT_NEAR(pi[a], 2 * q[a] / (2 - (kRewards[a] - mean)), 1e-9);
  }
  EXPECT_GT(exact, 0.01);
  EXPECT_NEAR(kl, 2 * exact, 1e-9);
}

}  // namespace
}  // namespace longshot::train
