#include "loop/rl/rounds.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/check.h"
#include "loop/rl/reward_step.h"

namespace longshot::loop {
namespace {

// A mean of a round, and the metrics whose product is the number of values in it.
struct Mean {
  const char* name;
  std::vector<const char*> count;
};

const std::vector<Mean>& means() {
  static const std::vector<Mean> all = {
      {"rollout/tokens_per_second", {"rollout/seconds"}},
      {"rollout/mean_batch", {"rollout/decode_steps"}},
      {"rollout/tokens_per_forward", {"rollout/decode_steps", "rollout/mean_batch"}},
      {"rollout/acceptance_rate", {"rollout/draft_tokens"}},
      {"perf/rollout_idle_share", {"rollout/seconds"}}};
  return all;
}

bool is_size(const std::string& name) {
  static const std::set<std::string> sizes = {"rollout/workers", "rollout/kv_peak_blocks",
                                              "rollout/kv_bytes", "rollout/load_seconds_max"};
  return sizes.contains(name) || name.starts_with("memory/");
}

double value(const Metrics& metrics, const std::string& name) {
  const auto it = metrics.find(name);
  return it == metrics.end() ? 0 : it->second;
}

double count(const Metrics& metrics, const Mean& mean) {
  double product = 1;
  for (const char* name : mean.count) product *= value(metrics, name);
  return product;
}

double joint_mean(const Metrics& a, const Metrics& b, const Mean& mean) {
  const double in_a = count(a, mean), in_b = count(b, mean);
  if (in_a + in_b <= 0) return 0;
  return (in_a * value(a, mean.name) + in_b * value(b, mean.name)) / (in_a + in_b);
}

}  // namespace

Metrics with_round(Metrics before, const Metrics& round) {
  if (before.empty()) return round;
  Metrics sum = before;
  for (const auto& [name, now] : round)
    sum[name] = is_size(name) ? std::max(sum[name], now) : sum[name] + now;
  for (const Mean& mean : means())
    if (round.contains(mean.name)) sum[mean.name] = joint_mean(before, round, mean);
  return sum;
}

Rounds::Rounds(const config::TrainConfig& config)
    : size_(static_cast<size_t>(config.data.train_batch_size)),
      filter_(config.filter_groups),
      reuses_(config.replay.ratio > 0),
      token_budget_(config.rollout.engine.token_budget) {}

int64_t Rounds::token_budget() const {
  if (token_budget_ == 0) return 0;
  return token_budget_ - static_cast<int64_t>(value(rollout_, "rollout/generated_tokens"));
}

void Rounds::add_rollout(const Metrics& rollout) {
  rollout_ = with_round(std::move(rollout_), rollout);
  ++count_;
}

void Rounds::add_samples(const std::vector<data::Sample>& samples,
                         const std::vector<data::Verdict>& verdicts) {
  samples_.add(samples, verdicts);
}

void Rounds::add_groups(std::vector<data::Group> groups) {
  LS_CHECK(groups.size() <= missing(), "a batch takes no more groups than it misses");
  for (data::Group& group : groups) {
    if (filter_.enable && !has_variance(group)) {
      ++dropped_;
    } else {
      groups_.push_back(std::move(group));
    }
  }
}

void Rounds::add_trained(std::vector<data::Group> groups) {
  LS_CHECK(groups.size() <= missing(), "a batch takes no more groups than it misses");
  reused_ += static_cast<int64_t>(groups.size());
  for (data::Group& group : groups) groups_.push_back(std::move(group));
}

bool Rounds::wants_another() const {
  const bool budget = token_budget_ == 0 || token_budget() > 0;
  return filter_.enable && missing() > 0 && count_ < filter_.max_num_gen_batches && budget;
}

void Rounds::report(Metrics& metrics) const {
  metrics.merge(Metrics(rollout_));
  samples_.report(metrics);
  report_groups(groups_, metrics);
  if (reuses_) metrics["replay/reused"] = static_cast<double>(reused_);
  if (!filter_.enable) return;
  const auto dropped = static_cast<double>(dropped_);
  metrics["train/num_gen_batches"] = count_;
  metrics["train/groups_dropped"] = dropped;
  metrics["train/groups_missing"] = static_cast<double>(missing());
  const double judged = dropped + static_cast<double>(groups_.size());
  if (judged > 0) metrics["train/zero_variance_share"] = dropped / judged;
}

}  // namespace longshot::loop
