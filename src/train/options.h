#pragma once
// User-facing options of all trainers. Torch-free. The meaning of each option is described where
// its key is bound, in config/sections/; here are only the invariants.

#include <cstdint>
#include <string>

#include "base/number_format.h"
#include "base/spelling.h"
#include "model/compute_options.h"

namespace longshot::train {

enum class Schedule { constant, linear, cosine };

constexpr auto spellings(Schedule) {
  using enum Schedule;
  return std::to_array<Spelling<Schedule>>(
      {{constant, "constant"}, {linear, "linear"}, {cosine, "cosine"}});
}

struct OptimizerOptions {
  double lr = 1e-6;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.0;
  double clip_grad = 1.0;
  Schedule schedule = Schedule::constant;
  int64_t warmup_steps = 0;
  double min_lr_ratio = 0.1;
  NumberFormat moments = NumberFormat::f32;  // f32, bf16 or int8; see moments.h
};

using model::ComputeOptions;

enum class Algorithm { kimi, rest, reinforce, rloo, grpo, gspo, cispo };

constexpr auto spellings(Algorithm) {
  using enum Algorithm;
  return std::to_array<Spelling<Algorithm>>({{kimi, "kimi"},
                                             {rest, "rest"},
                                             {reinforce, "reinforce"},
                                             {rloo, "rloo"},
                                             {grpo, "grpo"},
                                             {gspo, "gspo"},
                                             {cispo, "cispo"}});
}

// What kimi subtracts from a reward.
enum class Baseline {
  mean,  // the group's mean
  logz,  // tau log mean exp(r / tau)
};

constexpr auto spellings(Baseline) {
  using enum Baseline;
  return std::to_array<Spelling<Baseline>>({{mean, "mean"}, {logz, "logz"}});
}

// What advantages are divided by.
enum class Normalize {
  automatic,  // as published: the group's deviation for grpo, gspo and cispo, else nothing
  none,
  deviation,  // of the group's rewards; reinforce: of the batch's
  batch,      // the deviation of all advantages of the batch
};

constexpr auto spellings(Normalize) {
  using enum Normalize;
  return std::to_array<Spelling<Normalize>>(
      {{automatic, "auto"}, {none, "none"}, {deviation, "std"}, {batch, "batch"}});
}

// What the sum over a response's tokens is divided by.
enum class LengthNormalize {
  none,
  mean,      // their number
  tokens,    // the tokens of the whole mini-batch, so that each token has the same weight
  constant,  // AlgorithmOptions::max_response_length
};

constexpr auto spellings(LengthNormalize) {
  using enum LengthNormalize;
  return std::to_array<Spelling<LengthNormalize>>(
      {{none, "none"}, {mean, "mean"}, {tokens, "tokens"}, {constant, "constant"}});
}

// Estimators of the KL divergence from one token; loss/kl_penalty.h has the formulas.
enum class KlEstimator { k1, k2, k3 };

constexpr auto spellings(KlEstimator) {
  using enum KlEstimator;
  return std::to_array<Spelling<KlEstimator>>({{k1, "k1"}, {k2, "k2"}, {k3, "k3"}});
}

// Where the KL penalty enters.
enum class KlPlace { loss, reward };

constexpr auto spellings(KlPlace) {
  using enum KlPlace;
  return std::to_array<Spelling<KlPlace>>({{loss, "loss"}, {reward, "reward"}});
}

// What is done with tokens whose log-probabilities differ between the policy that drew them and the
// trainer's weights at the start of the iteration; loss/rollout_weights.h has the formulas.
enum class RolloutWeights { none, truncate, mask };

constexpr auto spellings(RolloutWeights) {
  using enum RolloutWeights;
  return std::to_array<Spelling<RolloutWeights>>(
      {{none, "none"}, {truncate, "truncate"}, {mask, "mask"}});
}

// Source of the reference log-probabilities.
enum class Reference {
  // The trainer's weights before the update, but tokens that they produced have the recorded value.
  // loop/ replaces it by `trainer` if the rollout's numbers are not the trainer's up to rounding
  // (config::rollout_is_exact).
  automatic,
  recorded,  // the policy that produced each token, as the rollout recorded it
  trainer,   // the trainer's weights before the update, by a forward pass
};

constexpr auto spellings(Reference) {
  using enum Reference;
  return std::to_array<Spelling<Reference>>(
      {{automatic, "auto"}, {recorded, "recorded"}, {trainer, "trainer"}});
}

struct AlgorithmOptions {
  Algorithm name = Algorithm::kimi;
  Baseline baseline = Baseline::mean;
  double tau = 0.02;                           // > 0 for logz
  Normalize normalize = Normalize::automatic;  // rest, and kimi with logz, cannot divide
  LengthNormalize length_normalize = LengthNormalize::none;  // grpo as published: mean
  double clip_low = 0.2, clip_high = 0.2;
  double kl_coef = 0.0;
  KlEstimator kl_estimator = KlEstimator::k3;
  KlPlace kl_place = KlPlace::loss;  // reward needs kl_reference
  std::string kl_reference;          // loop/ loads this model
  double entropy_coef = 0.0;
  bool mask_truncated = false;
  RolloutWeights rollout_weights = RolloutWeights::none;  // not with Reference::recorded
  double rollout_weights_low = 0.5, rollout_weights_high = 2.0;
  int mini_batches = 4;  // groups are never cut
  int epochs = 1;
  bool reset_optimizer = true;  // report: the reference changes each iteration
  bool train_earlier_segments = false;
  Reference reference = Reference::automatic;
  int micro_batch_tokens = 0;
  double temperature = 1.0;     // of the rollout; log-probabilities are compared at it
  int max_response_length = 1;  // tokens, > 0; loop/ sets it
  model::ComputeOptions compute;
};

// The loss of a preference pair; the formulas are in loss/dpo_loss.h.
enum class DpoLoss { sigmoid, robust, ipo };

constexpr auto spellings(DpoLoss) {
  using enum DpoLoss;
  return std::to_array<Spelling<DpoLoss>>({{sigmoid, "sigmoid"}, {robust, "robust"}, {ipo, "ipo"}});
}

struct DpoOptions {
  DpoLoss loss = DpoLoss::sigmoid;
  double beta = 0.1;           // > 0
  double label_smoothing = 0;  // in [0, 0.5); 0 for ipo
};

// Of training on a fixed set of rows: supervised training, reward models and preference pairs.
struct BatchOptions {
  int batch_tokens = 4096;
  int micro_batch_tokens = 0;
  ComputeOptions compute;
};

}  // namespace longshot::train
