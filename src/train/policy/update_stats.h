#pragma once
// Statistics of one policy update, and their names as metrics.

#include <cstdint>

#include "base/metrics.h"
#include "train/loss/policy_loss.h"
#include "train/pass/passes.h"

namespace longshot::train {

// Over all mini-batches of the update.
struct UpdateStats {
  Summary policy_loss, kl_loss, loss, grad_norm;  // one value per optimizer step
  Summary advantage;                              // one value per row
  Summary difference;  // |current - recorded| of fresh tokens while the weights are unchanged
  Summary entropy;     // of tokens while the weights are unchanged
  KlEstimate kl;
  PassTotals passes;  // those that compute a gradient
  int64_t clipped = 0, steps = 0, skipped = 0;
  int64_t flat = 0;          // mini-batches without a gradient
  int64_t flat_samples = 0;  // skipped because their gradient is zero
  // True while every log-probability of a fresh token, recomputed with unchanged weights, matches
  // the recorded one up to rounding.
  bool as_recorded = true;
  double step_loss = 0, step_kl = 0;  // of the current optimizer step
  int64_t reference_tokens = 0;       // packed tokens of passes for reference log-probabilities
  double lr = 0;

  void report(double seconds, Metrics& metrics) const;
};

}  // namespace longshot::train
