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

enum class Algorithm { kimi, rest, reinforce, rloo, grpo };

constexpr auto spellings(Algorithm) {
  using enum Algorithm;
  return std::to_array<Spelling<Algorithm>>(
      {{kimi, "kimi"}, {rest, "rest"}, {reinforce, "reinforce"}, {rloo, "rloo"}, {grpo, "grpo"}});
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
enum class Normalize { none, deviation };

constexpr auto spellings(Normalize) {
  using enum Normalize;
  return std::to_array<Spelling<Normalize>>({{none, "none"}, {deviation, "std"}});
}

// What the sum over a response's tokens is divided by.
enum class LengthNormalize {
  none,
  mean,  // their number
};

constexpr auto spellings(LengthNormalize) {
  using enum LengthNormalize;
  return std::to_array<Spelling<LengthNormalize>>({{none, "none"}, {mean, "mean"}});
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
  double tau = 0.02;  // > 0 for logz
  // grpo always divides; rest, and kimi with logz, cannot.
  Normalize normalize = Normalize::none;
  LengthNormalize length_normalize = LengthNormalize::none;  // grpo as published: mean
  double clip_low = 0.2, clip_high = 0.2;
  double kl_coef = 0.0;
  std::string kl_reference;  // loop/ loads this model
  int mini_batches = 4;      // groups are never cut
  int epochs = 1;
  bool reset_optimizer = true;  // report: the reference changes each iteration
  bool train_earlier_segments = false;
  Reference reference = Reference::automatic;
  int micro_batch_tokens = 0;
  double temperature = 1.0;  // of the rollout; log-probabilities are compared at it
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
