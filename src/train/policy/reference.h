#pragma once
// Reference log-probabilities of an update (algorithm.reference), and what is known about the
// update before computing it: while the weights are those that produced a token, its current
// log-probability is the recorded one up to rounding. Pure, torch-free.

#include <cstdint>
#include <span>
#include <vector>

#include "data/types.h"
#include "train/loss/policy_loss.h"

namespace longshot::train {

// Largest |log pi_trainer - log pi_rollout| of equal weights that is treated as rounding, in nats.
// Measured with f32: up to 6e-5.
constexpr double kRounding = 2e-4;

// The row's recorded log-probabilities and `fresh` flags at its targets, in the order in which a
// pass predicts them ([targets]).
std::vector<double> recorded_logprobs(const data::TrainRow& row);
std::vector<uint8_t> fresh_targets(const data::TrainRow& row);

// True if every reference log-probability of the row is a recorded one, so no pass over it is
// needed: always with `recorded`, never with `trainer`, and with `automatic` if all targets are
// fresh.
bool all_recorded(const data::TrainRow& row, Reference reference);

// Returns the reference log-probabilities of the row. `start` ([targets]) are the log-probabilities
// of the weights before the update. If `without_rounding`, the recorded value of a fresh token
// within kRounding of its `start` is replaced by `start`. A group without variance then has a
// gradient of exactly 0 while the weights are unchanged; otherwise AdamW's first step after a reset
// would amplify the rounding noise.
std::vector<double> reference_logprobs(const data::TrainRow& row, std::span<const double> start,
                                       Reference reference, bool without_rounding);

// Returns `values`, with each entry within kRounding of `towards` replaced by it. Removes the
// difference between two passes of equal weights.
std::vector<double> without_rounding(std::span<const double> values,
                                     std::span<const double> towards);

// Inputs of one row's gradient while the weights are unchanged.
struct RowTerms {
  const data::TrainRow& row;
  double advantage;
  std::span<const double> kl_reference;  // [targets], or empty: no fixed reference model
};
// Predicts the row's gradient ([targets]) up to rounding; empty if it cannot be predicted.
std::vector<double> predicted_gradient(const RowTerms& terms, const BoundObjective& objective,
                                       Reference reference);
// True if the predicted gradient is 0 everywhere, as in a group whose rewards are all equal. The
// row need not be computed then.
bool is_flat(const RowTerms& terms, const BoundObjective& objective, Reference reference);

}  // namespace longshot::train
