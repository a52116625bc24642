#pragma once
// Group -> new weights. The trainer does not depend on the algorithm: an objective (train/loss/)
// maps reference and current log-probabilities of whole sequences to a loss and its gradient with
// respect to each token's log-probability.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "train/frozen_model.h"
#include "train/options.h"
#include "train/policy/update.h"
#include "train/shard/lanes.h"
#include "train/trainable_model.h"

namespace longshot::train {

// Not thread-safe.
class PolicyTrainer {
 public:
  // Each process of `lanes.gang` has a trainer with the same arguments. Their fits must get the
  // same groups and give the same weights and the same metrics, except times, speeds and memory,
  // which are those of the process.
  PolicyTrainer(model::Weights weights, OptimizerOptions optimizer, AlgorithmOptions algorithm,
                int64_t total_steps, Lanes lanes = {});

  // One RL iteration: rows from the scored samples of each group, mini-batches in an order keyed by
  // (seed, iteration). Metrics: actor/pg_loss, actor/kl, actor/entropy, actor/grad_norm, actor/lr,
  // training/rollout_probs_diff_mean and _max (|log pi_rollout - log pi_trainer| of tokens of the
  // current version, while the weights are unchanged), actor/excluded/* (erred, aborted, partial
  // and empty samples), perf/*, memory/* (GiB). What was not measured is absent: without an
  // optimizer step there is no actor/lr and no actor/grad_norm. An update that fails after some of
  // its optimizer steps is taken back if memory allows; model().steps() then has its value from
  // before.
  Result<Metrics> fit(const std::vector<data::Group>& groups, const UpdateKey& key);

  // Sets the model that the KL penalty is measured against instead of the reference policy.
  // Its weights are never changed. invalid_argument if its vocabulary size differs from the
  // policy's.
  Status set_kl_model(model::Weights weights);
  // The same with the policy's own weights without their adapter; makes no second copy. The policy
  // must have an adapter.
  void use_base_as_kl_model();

  // Changes the options of the next updates, except algorithm.kl_reference and the compute options.
  void set_algorithm(AlgorithmOptions algorithm) { algorithm_ = std::move(algorithm); }

  TrainableModel& model() { return model_; }
  const TrainableModel& model() const { return model_; }

 private:
  TrainableModel model_;
  AlgorithmOptions algorithm_;
  std::optional<FrozenModel> kl_model_;
};

}  // namespace longshot::train
