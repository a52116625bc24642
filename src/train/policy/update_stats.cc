#include "train/policy/update_stats.h"

#include <algorithm>

namespace longshot::train {
namespace {

// Only if another engine than longshot's has generated.
void report_engines(const LaneStats& rows, Metrics& metrics) {
  const std::span others = std::span(rows.difference_of).subspan(1);
  if (std::ranges::all_of(others, [](const Summary& gap) { return gap.count() == 0; })) return;
  for (const auto& [kind, name] : spellings(data::EngineKind{})) {
    const Summary& gap = rows.difference_of[static_cast<size_t>(kind)];
    if (gap.count() > 0) metrics[std::string("rollout/logprob_gap/") + name] = gap.mean();
  }
}

void report_tokens(const LaneStats& rows, const BoundObjective& objective, Metrics& m) {
  if (rows.entropy.count() > 0) m["actor/entropy"] = rows.entropy.mean();
  if (rows.kl.tokens > 0) {
    m["actor/kl"] = rows.kl.k3();
    m["actor/ppo_kl"] = rows.kl.k1();
  }
  const auto targets = static_cast<double>(rows.passes.targets);
  if (targets == 0) return;
  m["actor/pg_clipfrac"] = static_cast<double>(rows.clipped) / targets;
  if (!objective.weighs_tokens()) return;
  m["actor/rollout_weight"] = rows.rollout_weights / targets;
  m["actor/rollout_weight_limited"] = static_cast<double>(rows.limited_weights) / targets;
}

void report_speed(const LaneStats& rows, double seconds, Metrics& m) {
  const auto tokens = static_cast<double>(rows.passes.packed_tokens);
  m["perf/unshared_tokens"] = static_cast<double>(rows.passes.unshared_tokens);
  m["perf/reference_tokens"] = static_cast<double>(rows.reference_tokens);
  m["perf/train_tokens"] = tokens;
  if (tokens > 0 && seconds > 0) m["perf/train_tokens_per_second"] = tokens / seconds;
  m["timing_s/update_actor"] = seconds;
}

}  // namespace

void LaneStats::begin_step() {
  any_gradient = false;
  step_loss = step_kl = step_entropy = 0;
}

void LaneStats::merge(const LaneStats& other) {
  difference.merge(other.difference);
  for (size_t kind = 0; kind < difference_of.size(); ++kind)
    difference_of[kind].merge(other.difference_of[kind]);
  entropy.merge(other.entropy);
  kl.merge(other.kl);
  passes.merge(other.passes);
  clipped += other.clipped;
  rollout_weights += other.rollout_weights;
  limited_weights += other.limited_weights;
  flat_samples += other.flat_samples;
  reference_tokens += other.reference_tokens;
  any_gradient = any_gradient || other.any_gradient;
  step_loss += other.step_loss;
  step_kl += other.step_kl;
  step_entropy += other.step_entropy;
}

LaneStats sum_of(std::span<const LaneStats> lanes) {
  LaneStats sum = lanes.front();
  for (const LaneStats& lane : lanes.subspan(1)) sum.merge(lane);
  return sum;
}

void UpdateStats::report(const LaneStats& rows, const BoundObjective& objective, double seconds,
                         Metrics& m) const {
  if (loss.count() > 0) report_losses(objective, m);
  report_tokens(rows, objective, m);
  if (grad_norm.count() > 0) m["actor/grad_norm"] = grad_norm.mean();
  if (steps > 0) m["actor/lr"] = lr;
  m["actor/optimizer_steps"] = static_cast<double>(steps);
  m["actor/skipped_steps"] = static_cast<double>(skipped);
  m["actor/flat_mini_batches"] = static_cast<double>(flat);
  m["actor/flat_samples"] = static_cast<double>(rows.flat_samples);
  m["actor/response_tokens"] = static_cast<double>(rows.passes.targets);
  if (rows.difference.count() > 0) {  // 0 if all tokens are of earlier versions
    m["training/rollout_probs_diff_mean"] = rows.difference.mean();
    m["training/rollout_probs_diff_max"] = rows.difference.max();
  }
  report_engines(rows, m);
  report_speed(rows, seconds, m);
  if (advantage.count() > 0) advantage.report("critic/advantages", m);
}

void UpdateStats::report_losses(const BoundObjective& objective, Metrics& m) const {
  m["actor/pg_loss"] = policy_loss.mean();
  m["actor/kl_loss"] = kl_loss.mean();
  m["actor/loss"] = loss.mean();
  if (objective.entropy_coef != 0) m["actor/entropy_loss"] = entropy_loss.mean();
}

}  // namespace longshot::train
