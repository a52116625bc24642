#pragma once
// User-facing options of all trainers. Torch-free.

#include <cstdint>
#include <string>

#include "model/compute_options.h"

namespace longshot::train {

struct OptimizerOptions {
  double lr = 1e-6;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.0;          // decoupled; not applied to norms and biases
  double clip_grad = 1.0;             // global norm; 0 = off
  std::string schedule = "constant";  // "constant", "linear", "cosine"; over total_steps
  int64_t warmup_steps = 0;
  double min_lr_ratio = 0.1;        // end of the schedule
  std::string moments = "float32";  // "float32", "bfloat16", "int8"; see moments.h
};

using model::ComputeOptions;

struct AlgorithmOptions {
  std::string name = "kimi";      // "kimi", "rest", "reinforce", "rloo", "grpo"
  std::string baseline = "mean";  // kimi: "mean" (group mean) or "logz" (tau log mean exp(r / tau))
  double tau = 0.02;              // kimi: weight of the squared log-ratio; > 0 for "logz"
  // Divide advantages by their standard deviation: "none", "std". grpo always divides; rest and
  // kimi with "logz" cannot.
  std::string normalize = "none";
  // Aggregation over the tokens of a response: their sum ("none") or their mean ("mean"). grpo as
  // published uses "mean".
  std::string length_normalize = "none";
  double clip_low = 0.2, clip_high = 0.2;  // grpo
  double kl_coef = 0.0;                    // grpo: weight of the k3 penalty
  // grpo: directory of the model that the KL penalty is measured against; loop/ loads it. Empty:
  // the reference policy.
  std::string kl_reference;
  int mini_batches = 4;  // optimizer steps per epoch; groups are never cut
  int epochs = 1;
  bool reset_optimizer = true;  // report: the reference changes each iteration
  // Partial rollouts: include tokens of older policy versions in the loss.
  bool train_earlier_segments = false;
  // Source of the reference log-probabilities. "recorded": the policy that produced each token, as
  // the rollout recorded it. "trainer": the trainer's weights before the update, by a forward pass.
  // "auto": the same weights, but tokens that they produced use the recorded value. loop/ replaces
  // "auto" by "trainer" if the rollout's numbers are not the trainer's up to rounding
  // (config::rollout_is_exact).
  std::string reference = "auto";
  int micro_batch_tokens = 0;  // packed tokens per forward/backward; 0: the fastest size
  double temperature = 1.0;    // of the rollout; log-probabilities are compared at it
  ComputeOptions compute;
};

// Of training on a fixed set of rows: supervised training and reward models.
struct BatchOptions {
  int batch_tokens = 4096;     // packed tokens per optimizer step
  int micro_batch_tokens = 0;  // packed tokens per forward/backward; 0: the fastest size
  ComputeOptions compute;
};

}  // namespace longshot::train
