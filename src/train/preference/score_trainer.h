#pragma once
// Judged responses -> a reward model: optimizer steps on the losses of
// train/loss/preference_loss.h.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "model/reward_head.h"
#include "train/options.h"
#include "train/trainable_model.h"

namespace longshot::train {

// A response with a label, or a pair. Borrowed.
struct ScoreRow {
  std::span<const data::TokenId> tokens;    // of the response, or of the better one
  std::span<const data::TokenId> rejected;  // of the worse one; empty: no pair, `label` is used
  double label = 0;                         // in [0, 1]

  int64_t length() const { return static_cast<int64_t>(tokens.size() + rejected.size()); }
};

// Not thread-safe.
class ScoreTrainer {
 public:
  // The head of `weights` must be a score head.
  ScoreTrainer(model::Weights weights, OptimizerOptions optimizer, const BatchOptions& options,
               int64_t total_steps);

  // Takes one optimizer step on the mean of the rows' losses. How the rows are cut into
  // micro-batches changes it only by rounding. With the CPU kernels, the prefix shared by the two
  // responses of a pair is computed only once. Metrics: train/loss, train/accuracy (share of pairs
  // whose better response scores higher, and of labelled responses whose score has the label's
  // sign), train/margin (mean score difference of a pair, or score signed by the label),
  // train/tokens, and those of TrainableModel::step().
  Result<Metrics> step(const std::vector<ScoreRow>& rows);
  // Returns val/loss, val/accuracy and val/margin without an update; empty without rows.
  Metrics evaluate(const std::vector<ScoreRow>& rows);

  TrainableModel& model() { return model_; }

 private:
  struct Totals {
    double loss = 0, accuracy = 0, margin = 0, flops = 0;
    int64_t rows = 0, tokens = 0;
    void report(const std::string& prefix, Metrics& metrics) const;
  };
  int64_t computed_tokens(const ScoreRow& row) const;
  model::ScoreBatch batch_of(const std::vector<ScoreRow>& rows, const std::vector<size_t>& members);
  void pass(const std::vector<ScoreRow>& rows, const std::vector<size_t>& members, bool train,
            Totals& totals);
  Totals run(const std::vector<ScoreRow>& rows, bool train);

  TrainableModel model_;
  model::PassSize size_;
};

}  // namespace longshot::train
