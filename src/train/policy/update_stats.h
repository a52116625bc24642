#pragma once
// Statistics of one policy update, and their names as metrics.

#include <array>
#include <cstdint>
#include <span>

#include "base/metrics.h"
#include "data/types.h"
#include "train/loss/policy_loss.h"
#include "train/pass/passes.h"

namespace longshot::train {

// Of the rows of one lane, over all mini-batches of the update. Plain values, so that processes can
// send them to one another.
struct LaneStats {
  Summary difference;  // |current - recorded| of fresh tokens while the weights are unchanged
  std::array<Summary, data::kEngineKinds> difference_of;  // the same by data::Segment::engine
  Summary entropy;  // of tokens while the weights are unchanged
  KlEstimate kl;
  PassTotals passes;  // those that compute a gradient
  int64_t clipped = 0;
  double rollout_weights = 0;  // sum over targets, as in ResponseLoss
  int64_t limited_weights = 0;
  int64_t flat_samples = 0;      // skipped because their gradient is zero
  int64_t reference_tokens = 0;  // packed tokens of passes for reference log-probabilities
  // True while every log-probability of a fresh token, recomputed with unchanged weights, matches
  // the recorded one up to rounding.
  bool as_recorded = true;
  // Of the current optimizer step.
  bool any_gradient = false;
  double step_loss = 0, step_kl = 0;  // without step_entropy
  double step_entropy = 0;            // the part of the entropy bonus

  void begin_step();
  // Adds everything except as_recorded.
  void merge(const LaneStats& other);
};

// The lanes of an update together, added in their order.
LaneStats sum_of(std::span<const LaneStats> lanes);

// Over all mini-batches of the update.
struct UpdateStats {
  // One value per mini-batch; of grad_norm one per optimizer step that was not skipped.
  Summary policy_loss, kl_loss, entropy_loss, loss, grad_norm;
  Summary advantage;  // one value per row
  int64_t steps = 0, skipped = 0;
  int64_t flat = 0;  // mini-batches without a gradient
  double lr = 0;     // of the last optimizer step; unknown without one

  // Leaves out the metrics of options that `objective` does not use, and those of which there is no
  // value: an update without an optimizer step has no learning rate and no gradient norm.
  void report(const LaneStats& rows, const BoundObjective& objective, double seconds,
              Metrics& metrics) const;
  void report_losses(const BoundObjective& objective, Metrics& metrics) const;
};

}  // namespace longshot::train
