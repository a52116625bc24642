#pragma once
// Input and statistics of Trainer::fit(). Torch-free.

#include <cstdint>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "train/advantage/advantage.h"
#include "train/loss/policy_loss.h"
#include "train/options.h"
#include "train/policy/rows.h"

namespace longshot::train {

// Statistics of one fit(), over all its mini-batches.
struct FitStats {
  Summary policy_loss, kl_loss, loss, grad_norm;  // one value per optimizer step
  Summary advantage;                              // one value per row
  Summary difference;  // |current - recorded| of fresh tokens while the weights are unchanged
  Summary entropy;     // of tokens while the weights are unchanged
  KlEstimate kl;
  int64_t clipped = 0, response_tokens = 0, packed_tokens = 0, steps = 0, skipped = 0;
  int64_t flat = 0;          // mini-batches without a gradient
  int64_t flat_samples = 0;  // skipped because their gradient is zero
  // True while every log-probability of a fresh token, recomputed with unchanged weights, matches
  // the recorded one up to rounding.
  bool as_recorded = true;
  double step_loss = 0, step_kl = 0;  // of the current optimizer step
  int64_t unshared_tokens = 0;
  int64_t reference_tokens = 0;  // packed tokens of passes for reference log-probabilities
  double flops = 0;              // that the model needs for the passes
  double lr = 0;

  void report(double seconds, Metrics& metrics) const;
};

// The rows of one iteration with the inputs of the objective for each.
struct Batch {
  RowSet set;
  std::vector<double> advantages;           // [rows]
  std::vector<std::vector<size_t>> groups;  // row indices, one entry per problem that has rows
  // [rows][targets] log-probabilities before the update; empty where they are not needed.
  std::vector<std::vector<double>> start;
  // [rows][targets] under the fixed reference model of the KL penalty; empty rows without one.
  std::vector<std::vector<double>> kl_model;
};

// `version` is that of the weights before the update. Errors: those of make_rows().
Result<Batch> make_batch(const std::vector<data::Group>& groups, const AlgorithmOptions& algorithm,
                         int64_t version);

}  // namespace longshot::train
