#pragma once
// The KL penalty of a policy against a fixed one, estimated from tokens that were drawn from the
// policy. Pure, thread-safe.
//
// With l the log-probability of a token under the policy and q that under the fixed model
// (Schulman, "Approximating KL divergence", 2020):
//
//   name   value                       d value / d l        verl's name
//   k1     l - q                       1                    kl
//   k2     (l - q)^2 / 2               l - q                mse
//   k3     exp(q - l) - (q - l) - 1    1 - exp(q - l)       low_var_kl
//
// The mean of k1 and k3 over tokens of the policy is KL(policy || fixed). As a loss, the mean
// gradient of k1 is 0, that of k2 is the gradient of KL(policy || fixed), and that of k3 the one of
// KL(fixed || policy). Exponents are limited to 20, as in verl, so that all values are finite.

#include <span>

#include "train/options.h"

namespace longshot::train {

struct KlTerm {
  double value, slope;  // slope: d value / d l
};
KlTerm kl_term(KlEstimator estimator, double policy, double fixed);

// The sum of the values over the tokens of a response.
double kl_sum(KlEstimator estimator, std::span<const double> policy, std::span<const double> fixed);

// exp(x), with x limited to 20.
double limited_exp(double x);

}  // namespace longshot::train
