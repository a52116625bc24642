#pragma once
// What a user may set of policy optimization. Torch-free; trainer.h includes it.

#include <cstdint>
#include <string>

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

// How passes are computed. Results are the same up to rounding.
struct ComputeOptions {
  std::string kernels = "auto";  // "auto": longshot's own on a CPU; "libtorch"
  // Of the products of the layers, and of the head with own kernels: "float32", "bfloat16". All else is f32.
  std::string dtype = "float32";
  std::string checkpointing =
      "auto";  // of activations: "none", "selective", "full"; see model/cpu/decoder.h
  double activation_gib =
      0;  // "auto" keeps as much as fits here; 0: half of the memory that is free
};

struct AlgorithmOptions {
  std::string name = "kimi";      // "kimi", "rest", "reinforce", "rloo", "grpo"
  std::string baseline = "mean";  // kimi: "mean" (group mean) or "logz" (tau log mean exp(r / tau))
  double tau = 0.02;              // kimi: weight of the squared log-ratio; > 0 for "logz"
  // Divide advantages by their standard deviation: "none", "std". grpo always divides; rest and
  // kimi with "logz" cannot.
  std::string normalize = "none";
  // A response counts with the sum of its tokens ("none") or their mean ("mean"). grpo as published
  // is "mean".
  std::string length_normalize = "none";
  double clip_low = 0.2, clip_high = 0.2;  // grpo
  double kl_coef = 0.0;                    // grpo: weight of the k3 penalty
  // grpo: model directory that the penalty is measured against; loop/ loads it. Empty: the
  // reference policy.
  std::string kl_reference;
  int mini_batches = 4;  // optimizer steps per epoch; groups are never cut
  int epochs = 1;
  bool reset_optimizer = true;  // report: the reference changes each iteration
  bool train_earlier_segments =
      false;  // partial rollouts: tokens of older policy versions in the loss
  // Reference log-probabilities: of the policy that produced each token, as the rollout "recorded"
  // them; of the "trainer"'s weights before the update; or "auto": those weights' too, but recorded
  // ones are taken for tokens that these weights produced. loop/ turns "auto" into "trainer" where
  // the rollout's numbers are not the trainer's.
  std::string reference = "auto";
  int micro_batch_tokens = 0;  // packed tokens per forward/backward; 0: what is fastest
  double temperature = 1.0;    // of the rollout; log-probabilities are compared at it
  ComputeOptions compute;
};

struct SftOptions {
  int batch_tokens = 4096;  // packed tokens per optimizer step
  int micro_batch_tokens = 0;
  ComputeOptions compute;
};

}  // namespace longshot::train
