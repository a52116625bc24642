#pragma once
// What can be told of an update before it is computed: as long as the weights are those that produced the samples, the
// present log-probabilities are the recorded ones up to rounding. Pure, torch-free.

#include <vector>

#include "data/types.h"
#include "policy/loss/objective.h"

namespace longshot::policy {

// Largest |log pi_trainer - log pi_rollout| of equal weights that is taken as rounding, nats. f32 measures up to 6e-5.
constexpr double kRounding = 2e-4;

// Recorded log-probabilities of the tokens a pass predicts, in its order.
std::vector<double> recorded_logprobs(const data::TrainRow& row);

// With the weights that produced the tokens, present and recorded log-probabilities are the same number up to
// rounding. Made equal, a group without variance has a gradient of exactly 0; left as they are, AdamW's first step
// after a reset would blow that noise up to full size.
void remove_rounding(const std::vector<double>& present, std::vector<double>& recorded);

// The gradient at this row, by recorded_logprobs(), while the weights are those that produced it.
std::vector<double> gradient_as_recorded(const data::TrainRow& row, double advantage,
                                         const BoundObjective& objective);
// Whether that is 0 everywhere, as in a group whose rewards are all equal: then the row need not be computed.
bool is_flat(const data::TrainRow& row, double advantage, const BoundObjective& objective);

}  // namespace longshot::policy
