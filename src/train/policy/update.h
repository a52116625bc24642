#pragma once
// One policy update: the work of Trainer::fit(). Rows are packed into passes, the objective maps
// their log-probabilities to a gradient, and the optimizer steps after each mini-batch. Not
// thread-safe.

#include <span>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "model/weights.h"
#include "train/loss/policy_loss.h"
#include "train/optimizer/optimizer.h"
#include "train/options.h"
#include "train/pass/pass.h"
#include "train/policy/fit_batch.h"
#include "train/policy/policy_trainer.h"
#include "train/policy/reference.h"

namespace longshot::train {

// A model that only computes log-probabilities and is never trained.
struct FrozenModel {
  model::Weights weights;
  Compute compute;
};

class Update {
 public:
  struct Parts {
    model::Weights& weights;
    AdamW& optimizer;
    Compute& compute;
    const AlgorithmOptions& algorithm;
    FrozenModel* kl_model;  // null: none
    double peak_flops;      // 0: unknown
  };
  explicit Update(const Parts& parts) : p_(parts) {}

  // Metrics: those of Trainer::fit(). Errors: those of make_batch() and of the optimizer.
  Result<Metrics> run(const std::vector<data::Group>& groups, const FitKey& key);

 private:
  struct WeightedRow {
    size_t row;
    double weight;
  };
  Status all_steps(const FitKey& key);
  void compute_references();
  // Writes the log-probabilities of these rows' targets under `weights` to out[row].
  void logprobs(const std::vector<size_t>& rows, Compute& compute, model::Weights& weights,
                std::vector<std::vector<double>>& out);
  PassRow pass_row(size_t row) const;
  RowTerms terms(size_t row) const;
  bool unchanged() const { return stats_.steps == 0; }
  Status mini_batch_step(const std::vector<size_t>& rows);
  // Both return false if the gradient is exactly 0; no weight has a gradient then.
  bool accumulate(const std::vector<size_t>& rows);
  bool accumulate_rows(const std::vector<WeightedRow>& rows);
  // Predicts the gradient of this micro-batch up to rounding ([targets]). Empty if it cannot be
  // predicted.
  std::vector<float> expected_gradient(const std::vector<WeightedRow>& rows,
                                       const MicroBatch& micro) const;
  // Adds one row's loss to the statistics and writes its gradient ([targets]).
  void row_gradient(const WeightedRow& weighted, const std::vector<double>& present,
                    std::span<float> grad);
  void compare(const data::TrainRow& row, const std::vector<double>& present);

  Parts p_;
  BoundObjective objective_;
  Batch batch_;
  FitStats stats_;
};

}  // namespace longshot::train
