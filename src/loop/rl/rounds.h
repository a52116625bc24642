#pragma once
// The rounds of generation of an iteration: what they give together, and whether another one
// follows. With algorithm.filter_groups, groups whose rewards are all equal are dropped and new
// prompts take their place (dynamic sampling: DAPO, arXiv 2503.14476, section 3.2; verl's
// algorithm.filter_groups). Otherwise an iteration is one round.

#include <cstdint>
#include <vector>

#include "base/metrics.h"
#include "config/config.h"
#include "data/types.h"
#include "loop/rl/iteration_report.h"

namespace longshot::loop {

// Adds the rollout metrics of one more generate() to those of the ones before: means and rates are
// those of both together, sizes the larger one, everything else the sum.
Metrics with_round(Metrics before, const Metrics& round);

class Rounds {
 public:
  explicit Rounds(const config::TrainConfig& config);

  // The number of rounds that have generated their samples.
  int count() const { return count_; }
  // The tokens that the next round may generate (EngineOptions::token_budget; 0 = unlimited).
  int64_t token_budget() const;
  // A round has generated its samples; `rollout` has its metrics.
  void add_rollout(const Metrics& rollout);
  void add_samples(const std::vector<data::Sample>& samples,
                   const std::vector<data::Verdict>& verdicts);
  // Keeps the groups for the batch; with filter_groups only those with variance. At most missing()
  // groups.
  void add_groups(std::vector<data::Group> groups);

  // Groups that were trained on before, as a part of the batch.
  void add_trained(std::vector<data::Group> groups);

  const std::vector<data::Group>& groups() const { return groups_; }
  size_t missing() const { return size_ - groups_.size(); }  // groups, until the batch is full
  // Whether the samples of one more round may be added.
  bool may_add() const { return !filter_.enable || count_ < filter_.max_num_gen_batches; }
  // Another round should follow, if there is room for new groups.
  bool wants_another() const;

  // The metrics of the rollouts, samples and groups. With replay.ratio also replay/reused, the
  // groups of add_trained(). With filter_groups also train/num_gen_batches (rounds; verl's name),
  // train/groups_dropped, train/groups_missing and train/zero_variance_share, the dropped ones'
  // share of the groups.
  void report(Metrics& metrics) const;

 private:
  const size_t size_;
  const config::FilterGroups filter_;
  const bool reuses_;
  const int64_t token_budget_;
  int count_ = 0;
  int64_t dropped_ = 0, reused_ = 0;
  Metrics rollout_;
  SampleReport samples_;
  std::vector<data::Group> groups_;
};

}  // namespace longshot::loop
