#pragma once
// Weights of tokens for the difference between the policy that drew them and the trainer's weights
// at the start of the iteration. Pure, thread-safe.
//
// With o the log-probability of a token under the trainer's weights before the update and b the one
// under the distribution that it was drawn from, r = exp(o - b):
//
//   truncate   min(r, high)                    truncated importance sampling, TIS (Yao et al.,
//                                              "Your efficient RL framework secretly brings you
//                                              off-policy RL training", 2025)
//   mask       r if low <= r <= high, else 0   IcePop (Ling team, "Small leak can sink a great
//                                              ship", 2025; 2510.18855)
//
// The weight multiplies the token's advantage, so that of a token without one is irrelevant.

#include <span>
#include <vector>

#include "train/options.h"

namespace longshot::train {

struct RolloutWeightOptions {
  RolloutWeights kind = RolloutWeights::none;
  double low = 0.5, high = 2;
};

// [n] from [n] and [n]; all 1 for `none`.
std::vector<double> rollout_weights(std::span<const double> start, std::span<const double> drawn,
                                    const RolloutWeightOptions& options);

}  // namespace longshot::train
