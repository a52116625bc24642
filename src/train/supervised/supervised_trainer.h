#pragma once
// Supervised training: sequences whose trainable tokens should become more probable.

#include <cstdint>
#include <span>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "train/options.h"
#include "train/trainable_model.h"

namespace longshot::train {

// Borrowed.
struct SupervisedRow {
  std::span<const data::TokenId> tokens;  // [n]
  std::span<const uint8_t> loss_mask;     // [n] tokens that carry a loss; the first cannot
};

// Not thread-safe.
class SupervisedTrainer {
 public:
  SupervisedTrainer(model::Weights weights, OptimizerOptions optimizer, const BatchOptions& options,
                    int64_t total_steps);

  // Takes one optimizer step on the mean negative log-likelihood over the tokens that carry a loss.
  // Metrics: train/loss, train/tokens (those tokens), and those of TrainableModel::step(). Error:
  // no token carries a loss.
  Result<Metrics> step(const std::vector<SupervisedRow>& rows);
  // Returns the mean loss without an update; NaN if no token carries a loss.
  double loss(const std::vector<SupervisedRow>& rows);

  TrainableModel& model() { return model_; }

 private:
  TrainableModel model_;
  int64_t micro_batch_tokens_;
};

}  // namespace longshot::train
