#pragma once
// Preference pairs -> new weights: optimizer steps on the losses of train/loss/dpo_loss.h.

#include <cstdint>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "train/options.h"
#include "train/preference/pair_passes.h"
#include "train/trainable_model.h"

namespace longshot::train {

// A pair with its log-probabilities under the reference model. Borrowed.
struct DpoRow {
  PairSequences pair;
  PairLogprobs reference;
};

// Not thread-safe.
class DpoTrainer {
 public:
  DpoTrainer(model::Weights weights, OptimizerOptions optimizer, const DpoOptions& dpo,
             const BatchOptions& batch, int64_t total_steps);

  // Takes one optimizer step on the mean of the pairs' losses. How the pairs are cut into passes
  // changes it only by rounding. With the CPU kernels a pair's prompt is computed only once.
  // Metrics, with TRL's names where it has them: train/loss, rewards/chosen and rewards/rejected
  // (means of beta * (policy - reference)), rewards/margins, rewards/accuracies (share of pairs
  // whose chosen response has the larger reward), logps/chosen, logps/rejected, train/accuracy (the
  // same as rewards/accuracies), train/pairs, train/tokens (of prompts and responses as the rows
  // have them), and those of TrainableModel::step(). Error: no pair.
  Result<Metrics> step(const std::vector<DpoRow>& rows);
  // Returns val/loss, val/accuracy, and the metrics above as val/rewards/chosen and so on, without
  // an update; empty without rows.
  Metrics evaluate(const std::vector<DpoRow>& rows);

  // The responses' log-probabilities under the current weights.
  std::vector<PairLogprobs> logprobs(const std::vector<PairSequences>& pairs);

  TrainableModel& model() { return model_; }

 private:
  struct Totals {
    double loss = 0, accuracy = 0;
    PairLogprobs rewards, logprobs;  // sums
    int64_t pairs = 0;
    PassTotals passes;
    void add(const PairLogprobs& policy, const PairLogprobs& reward, double pair_loss);
    void report(const std::string& prefix, Metrics& metrics) const;
  };
  Totals run(const std::vector<DpoRow>& rows, bool train);
  void pass(const std::vector<DpoRow>& rows, const std::vector<PairSequences>& pairs,
            const std::vector<size_t>& members, bool train, Totals& totals);

  TrainableModel model_;
  DpoOptions options_;
  int64_t micro_batch_tokens_;
};

}  // namespace longshot::train
