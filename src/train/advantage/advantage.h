#pragma once
// Rewards of groups -> one advantage per sample. Plain double arithmetic, no model. Thread-safe.
//
//   name       advantage of sample j among the k samples of its problem            source
//   mean       r_j - mean(r)                                  Kimi k1.5 (2501.12599), 2.3.2; with
//                                                             divide_by_std GRPO (2402.03300)
//   logz       r_j - tau log((1/k) sum_i exp(r_i / tau))      the same, equation for log Z
//   rloo       r_j - mean of the other k - 1 rewards          RLOO (2402.14740)
//   reinforce  r_j - mean over all samples of the batch       Williams 1992
//   rest       1 for the samples with the problem's best      ReST (2308.08998)
//              reward if that is > 0; 0 for the others, which then have no gradient at all
//
// divide_by_std divides by std + 1e-6, where std is the sample standard deviation (k - 1) of the
// group's rewards, as in verl and TRL. A group of one sample has nothing to compare with, so its
// advantage is 0 under mean, logz and rloo.
//
// Equal rewards have an advantage of exactly 0 under mean, logz and rloo, and under reinforce
// if all rewards of the batch are equal. Rewards that differ only by rounding count as equal,
// because AdamW would scale a gradient of 1e-17 up to a full step.

#include <string>
#include <vector>

#include "base/status.h"
#include "train/options.h"

namespace longshot::train {

// values[g][j] belongs to sample j of problem g.
using GroupValues = std::vector<std::vector<double>>;

// True if rewards differ by no more than the rounding of a sum (1e-12 of the larger of the lowest
// and highest, by magnitude). True for an empty list.
bool equal_rewards(const std::vector<double>& rewards);

struct AdvantageOptions {
  double tau = 0.02;           // logz
  bool divide_by_std = false;  // mean, rloo: of the group; reinforce: of the batch
};

struct AdvantageRule {
  const char* name;
  GroupValues (*compute)(const GroupValues& rewards, const AdvantageOptions& options);
};

const std::vector<AdvantageRule>& advantage_rules();
// Null if there is no rule of that name.
const AdvantageRule* find_advantage_rule(const std::string& name);

// tau log((1/k) sum exp(r / tau)), evaluated around the largest reward so that it does not overflow
// for any tau > 0. 0 for an empty list.
double log_mean_exp(const std::vector<double>& rewards, double tau);

// Divides all values by their sample deviation + 1e-6. After the rule `mean`, whose values have a
// mean of 0, this is the whitening of REINFORCE++ with a baseline (2501.03262).
void divide_by_batch_deviation(GroupValues& advantages);

// Applies the rule of the algorithm, and algorithm.normalize.
GroupValues compute_advantages(const AlgorithmOptions& algorithm, const GroupValues& rewards);
// Error: options that have no meaning together; it names the keys.
Status check_advantage_options(const AlgorithmOptions& algorithm);

}  // namespace longshot::train
