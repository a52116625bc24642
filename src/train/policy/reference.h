#pragma once
// Reference log-probabilities of an update (algorithm.reference), and what they tell about it
// before it is computed: as long as the weights are those that produced a token, its present
// log-probability is the recorded one up to rounding. Pure, torch-free.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/types.h"
#include "train/loss/policy_loss.h"

namespace longshot::train {

// Largest |log pi_trainer - log pi_rollout| of equal weights that is taken as rounding, nats. f32
// measures up to 6e-5.
constexpr double kRounding = 2e-4;

// Of the tokens that a pass predicts, in its order ([targets]).
std::vector<double> recorded_logprobs(const data::TrainRow& row);
std::vector<uint8_t> fresh_targets(const data::TrainRow& row);

// Whether every reference log-probability of the row is a recorded one, so that no pass over it is
// needed: always with "recorded", never with "trainer", and with "auto" if all targets are fresh.
bool all_recorded(const data::TrainRow& row, const std::string& reference);

// The reference log-probabilities, where `start` ([targets]) are those of the weights before the
// update. Recorded ones within kRounding of a fresh token's `start` are made equal to it if
// `without_rounding`. A group without variance then has a gradient of exactly 0 while `start` is
// also the present; with rounding, AdamW's first step after a reset would blow up the noise.
std::vector<double> reference_logprobs(const data::TrainRow& row, std::span<const double> start,
                                       const std::string& reference, bool without_rounding);

// `values` with those within kRounding of `towards` made equal to them: two passes of equal weights.
std::vector<double> without_rounding(std::span<const double> values,
                                     std::span<const double> towards);

// What the gradient at one row depends on while the weights are those before the update.
struct RowTerms {
  const data::TrainRow& row;
  double advantage;
  std::span<const double> kl_reference;  // [targets], or empty: no fixed reference model
};
// The gradient that the row will have up to rounding; empty if it cannot be predicted.
std::vector<double> predicted_gradient(const RowTerms& terms, const BoundObjective& objective,
                                       const std::string& reference);
// Whether that is 0 everywhere, as in a group whose rewards are all equal: the row need not be
// computed.
bool is_flat(const RowTerms& terms, const BoundObjective& objective, const std::string& reference);

}  // namespace longshot::train
