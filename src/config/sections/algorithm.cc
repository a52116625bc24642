#include "config/sections/algorithm.h"

#include "base/settings/checks.h"

namespace longshot::config {

void bind(Settings& s, train::AlgorithmOptions& a) {
  s.add("algorithm.name", &a.name, "objective; docs/algorithms.md has the formulas");
  s.add("algorithm.baseline", &a.baseline, "kimi: group mean, or tau log mean exp(r / tau)");
  s.add("algorithm.tau", &a.tau, "kimi: weight of the pull towards the reference policy", above(0));
  s.add("algorithm.normalize", &a.normalize,
        "advantages are divided by the deviation of their group's rewards (std) or of all "
        "advantages (batch); auto = std for grpo, gspo and cispo, else none");
  s.add(
      "algorithm.length_normalize", &a.length_normalize,
      "sums over a response's tokens are divided by their number (mean), by that of all responses "
      "of the optimizer step (tokens) or by data.max_response_length (constant)");
  s.add("algorithm.clip_low", &a.clip_low, "grpo, gspo, cispo: ratio clip below 1", within(0, 1));
  s.add("algorithm.clip_high", &a.clip_high, "grpo, gspo, cispo: ratio clip above 1",
        at_least(0.0));
  s.add("algorithm.kl_coef", &a.kl_coef, "weight of the KL penalty; 0 = off", at_least(0.0));
  s.add("algorithm.kl_estimator", &a.kl_estimator,
        "of the KL penalty for each token: k1 (kl), k2 (mse) or k3 (low_var_kl)");
  s.add("algorithm.kl_in", &a.kl_place,
        "the KL penalty is added to the loss, or taken off the reward of each sample");
  s.add("algorithm.kl_reference", &a.kl_reference,
        "fixed model that the KL penalty is measured against, as a path; with an adapter its base "
        "needs no second copy; empty = the policy at the start of the iteration");
  s.add("algorithm.entropy_coef", &a.entropy_coef,
        "weight of the entropy bonus, the entropy of the policy at each token; 0 = off",
        at_least(0.0));
  s.add("algorithm.mask_truncated", &a.mask_truncated,
        "responses that were cut at data.max_response_length enter the baseline, but are not "
        "trained on (DAPO's overlong filtering)");
  s.add("algorithm.rollout_weights", &a.rollout_weights,
        "weights of tokens for the difference between the rollout's policy and the trainer's: "
        "limited ratios (truncate, TIS), or ratios within limits only (mask, IcePop)");
  s.add("algorithm.rollout_weights_low", &a.rollout_weights_low,
        "mask: tokens with a smaller ratio are not trained on", at_least(0.0));
  s.add("algorithm.rollout_weights_high", &a.rollout_weights_high,
        "largest ratio; truncate limits to it, mask leaves larger ones out", above(0));
  s.add("algorithm.mini_batches", &a.mini_batches, "optimizer steps per epoch", at_least(1));
  s.add("algorithm.epochs", &a.epochs, "passes over an iteration's groups", at_least(1));
  s.add("algorithm.reset_optimizer", &a.reset_optimizer,
        "new AdamW moments each iteration, because the reference policy changed");
  s.add("algorithm.train_earlier_segments", &a.train_earlier_segments,
        "partial rollouts: tokens of older policy versions in the loss");
  s.add("algorithm.reference", &a.reference,
        "policy that the objective compares with: the one that produced each token, as recorded by "
        "the rollout (recorded); that at the start of the iteration, computed by the trainer "
        "(trainer); or auto: the latter, with recorded numbers where they are its own");
  s.add("algorithm.micro_batch_tokens", &a.micro_batch_tokens,
        "packed tokens per forward pass; 0 = what is fastest", at_least(0));
}

void bind(Settings& s, FilterGroups& o) {
  s.add("algorithm.filter_groups.enable", &o.enable,
        "drop groups whose scores are all equal, which have no gradient, and generate others in "
        "their place until the batch is full; docs/algorithms.md");
  s.add("algorithm.filter_groups.max_num_gen_batches", &o.max_num_gen_batches,
        "most rounds of generation of an iteration; after them it trains on the groups that it has",
        at_least(1));
}

}  // namespace longshot::config
