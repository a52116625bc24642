#include "train/policy/update_stats.h"

namespace longshot::train {

void UpdateStats::report(double seconds, Metrics& m) const {
  m["actor/pg_loss"] = policy_loss.mean();
  m["actor/kl_loss"] = kl_loss.mean();
  m["actor/loss"] = loss.mean();
  m["actor/kl"] = kl.k3();
  m["actor/ppo_kl"] = kl.k1();
  m["actor/pg_clipfrac"] = passes.targets == 0
                               ? 0.0
                               : static_cast<double>(clipped) / static_cast<double>(passes.targets);
  m["actor/entropy"] = entropy.mean();
  m["actor/grad_norm"] = grad_norm.mean();
  m["actor/lr"] = lr;
  m["actor/optimizer_steps"] = static_cast<double>(steps);
  m["actor/skipped_steps"] = static_cast<double>(skipped);
  m["actor/flat_mini_batches"] = static_cast<double>(flat);
  m["actor/flat_samples"] = static_cast<double>(flat_samples);
  m["perf/unshared_tokens"] = static_cast<double>(passes.unshared_tokens);
  m["perf/reference_tokens"] = static_cast<double>(reference_tokens);
  m["actor/response_tokens"] = static_cast<double>(passes.targets);
  if (difference.count() > 0) {  // 0 if all tokens are of earlier versions
    m["training/rollout_probs_diff_mean"] = difference.mean();
    m["training/rollout_probs_diff_max"] = difference.max();
  }
  m["perf/train_tokens"] = static_cast<double>(passes.packed_tokens);
  m["perf/train_tokens_per_second"] =
      seconds > 0 ? static_cast<double>(passes.packed_tokens) / seconds : 0.0;
  m["timing_s/update_actor"] = seconds;
  advantage.report("critic/advantages", m);
}

}  // namespace longshot::train
