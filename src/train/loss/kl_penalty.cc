#include "train/loss/kl_penalty.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace longshot::train {
namespace {

constexpr double kLargestExponent = 20;

}  // namespace

double limited_exp(double x) {
  return std::exp(std::min(x, kLargestExponent));
}

KlTerm kl_term(KlEstimator estimator, double policy, double fixed) {
  const double behind = fixed - policy;
  switch (estimator) {
    case KlEstimator::k1:
      return {-behind, 1};
    case KlEstimator::k2:
      return {behind * behind / 2, -behind};
    case KlEstimator::k3:
      break;
  }
  const double inverse = limited_exp(behind);
  return {inverse - behind - 1, 1 - inverse};
}

double kl_sum(KlEstimator estimator, std::span<const double> policy,
              std::span<const double> fixed) {
  LS_CHECK(policy.size() == fixed.size(), "one log-probability per token for the KL");
  double sum = 0;
  for (size_t t = 0; t < policy.size(); ++t) sum += kl_term(estimator, policy[t], fixed[t]).value;
  return sum;
}

}  // namespace longshot::train
