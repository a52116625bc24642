#include "train/policy/fit_batch.h"

namespace longshot::train {
namespace {

std::vector<std::vector<size_t>> rows_by_group(const std::vector<data::TrainRow>& rows) {
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].group != rows[i - 1].group) groups.emplace_back();
    groups.back().push_back(i);
  }
  return groups;
}

}  // namespace

void FitStats::report(double seconds, Metrics& m) const {
  m["actor/pg_loss"] = policy_loss.mean();
  m["actor/kl_loss"] = kl_loss.mean();
  m["actor/loss"] = loss.mean();
  m["actor/kl"] = kl.k3();
  m["actor/ppo_kl"] = kl.k1();
  m["actor/pg_clipfrac"] =
      response_tokens == 0 ? 0.0
                           : static_cast<double>(clipped) / static_cast<double>(response_tokens);
  m["actor/entropy"] = entropy.mean();
  m["actor/grad_norm"] = grad_norm.mean();
  m["actor/lr"] = lr;
  m["actor/optimizer_steps"] = static_cast<double>(steps);
  m["actor/skipped_steps"] = static_cast<double>(skipped);
  m["actor/flat_mini_batches"] = static_cast<double>(flat);
  m["actor/flat_samples"] = static_cast<double>(flat_samples);
  m["perf/unshared_tokens"] = static_cast<double>(unshared_tokens);
  m["perf/reference_tokens"] = static_cast<double>(reference_tokens);
  m["actor/response_tokens"] = static_cast<double>(response_tokens);
  if (difference.count() > 0) {  // 0 if all tokens are of earlier versions
    m["training/rollout_probs_diff_mean"] = difference.mean();
    m["training/rollout_probs_diff_max"] = difference.max();
  }
  m["perf/train_tokens"] = static_cast<double>(packed_tokens);
  m["perf/train_tokens_per_second"] =
      seconds > 0 ? static_cast<double>(packed_tokens) / seconds : 0.0;
  m["timing_s/update_actor"] = seconds;
  advantage.report("critic/advantages", m);
}

Result<Batch> make_batch(const std::vector<data::Group>& groups, const AlgorithmOptions& algorithm,
                         int64_t version) {
  Batch batch;
  LS_ASSIGN_OR_RETURN(batch.set, make_rows(groups, algorithm.train_earlier_segments, version));
  batch.groups = rows_by_group(batch.set.rows);
  batch.start.resize(batch.set.rows.size());
  batch.kl_model.resize(batch.set.rows.size());
  GroupValues rewards;
  for (const auto& group : batch.groups) {
    auto& values = rewards.emplace_back();
    for (const size_t i : group) values.push_back(batch.set.rows[i].reward);
  }
  for (const auto& values : compute_advantages(algorithm, rewards)) {
    batch.advantages.insert(batch.advantages.end(), values.begin(), values.end());
  }
  return batch;
}

}  // namespace longshot::train
