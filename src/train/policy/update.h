#pragma once
// One policy update: the work of PolicyTrainer::fit(). The objective maps the log-probabilities of
// each row to a gradient, and the optimizer steps after each mini-batch. Not thread-safe.

#include <cstdint>
#include <span>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "train/frozen_model.h"
#include "train/loss/policy_loss.h"
#include "train/options.h"
#include "train/pass/passes.h"
#include "train/policy/reference.h"
#include "train/policy/update_batch.h"
#include "train/policy/update_stats.h"
#include "train/shard/lanes.h"
#include "train/trainable_model.h"

namespace longshot::train {

// Which iteration an update belongs to.
struct UpdateKey {
  int64_t version = 0;  // of the trainer's current weights, as in data::Segment
  uint64_t seed = 0;
  int64_t iteration = 0;
};

class Update {
 public:
  struct Parts {
    TrainableModel& model;
    const AlgorithmOptions& algorithm;
    FrozenModel* kl_model;  // null: none
  };
  explicit Update(const Parts& parts)
      : p_(parts), lanes_(static_cast<size_t>(parts.model.lanes().count)) {}

  // Metrics: those of PolicyTrainer::fit(). Errors: those of make_update_batch(), of the
  // optimizer and of the gang.
  Result<Metrics> run(const std::vector<data::Group>& groups, const UpdateKey& key);

 private:
  struct WeightedRow {
    size_t row;
    double weight;
  };
  Status all_steps(const UpdateKey& key);
  Status compute_references();
  // The KL penalties of the rewards, [rows]; empty if the penalty is not part of the reward.
  std::vector<double> reward_penalties() const;
  bool has_reward_penalty() const;
  // Writes the log-probabilities of these rows' targets to out[row]. Each lane computes its part.
  Status logprobs(const std::vector<size_t>& rows, model::Compute& compute,
                  std::vector<std::vector<double>>& out);
  void lane_logprobs(const std::vector<size_t>& rows, model::Compute& compute, LaneStats& lane,
                     std::vector<std::vector<double>>& out);
  PassRow pass_row(size_t row) const;
  std::vector<PassRow> pass_rows(const std::vector<size_t>& rows) const;
  PassOptions pass_options() const;
  RowTerms terms(size_t row) const;
  bool unchanged() const { return stats_.steps == 0; }
  // The weight of each of these rows in the loss of their mini-batch.
  std::vector<double> row_weights(const std::vector<size_t>& rows) const;
  // True if the row's gradient must be zero when current and recorded log-probabilities agree.
  bool may_skip(size_t row) const;
  // The parts of each lane, in the order of `rows`. Rows that may be skipped are cut separately,
  // because they cost nothing if they are.
  std::vector<std::vector<WeightedRow>> cut(const std::vector<size_t>& rows) const;
  Status mini_batch_step(const std::vector<size_t>& rows);
  // Adds the gradients of all rows to those of the weights.
  Status accumulate(const std::vector<size_t>& rows);
  // Both return false if the gradient is exactly 0; no weight has a gradient then.
  bool accumulate_lane(const std::vector<WeightedRow>& rows, LaneStats& lane);
  bool accumulate_rows(const std::vector<WeightedRow>& rows, LaneStats& lane);
  // Predicts the gradient of this micro-batch up to rounding ([targets]). Empty if it cannot be
  // predicted.
  std::vector<float> expected_gradient(const std::vector<WeightedRow>& rows,
                                       const MicroBatch& micro, const LaneStats& lane) const;
  // Adds one row's loss to the statistics and writes its gradient ([targets]).
  void row_gradient(const WeightedRow& weighted, const std::vector<double>& present,
                    std::span<float> grad, LaneStats& lane);
  // Subtracts the entropy bonus from the losses and writes its gradient ([targets]).
  void entropy_gradient(const std::vector<WeightedRow>& rows, const MicroBatch& micro,
                        const model::TokenLogprobs& out, std::span<float> grad, LaneStats& lane);
  void compare(const data::TrainRow& row, const std::vector<double>& present, LaneStats& lane);
  void compare_engines(const data::TrainRow& row, const std::vector<double>& present,
                       LaneStats& lane);

  Parts p_;
  BoundObjective objective_;
  UpdateBatch batch_;
  UpdateStats stats_;
  std::vector<LaneStats> lanes_;
};

}  // namespace longshot::train
