#pragma once
// Group -> new weights. The trainer does not depend on the algorithm: an objective (train/loss/)
// maps reference and current log-probabilities of whole sequences to a loss and its gradient with
// respect to each token's log-probability. The trainer packs rows, runs the passes, and applies the
// optimizer.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "model/weights.h"
#include "train/options.h"
#include "train/pass/packing.h"

namespace longshot::train {

// Which iteration an update belongs to.
struct FitKey {
  int64_t version = 0;  // of the trainer's current weights, as in data::Segment
  uint64_t seed = 0;
  int64_t iteration = 0;
};

class Trainer {
 public:
  Trainer(model::Weights weights, OptimizerOptions optimizer, AlgorithmOptions algorithm,
          int64_t total_steps);
  ~Trainer();

  // One RL iteration: rows from the scored samples of each group, mini-batches in an order keyed by
  // (seed, iteration). Metrics: actor/pg_loss, actor/kl, actor/entropy, actor/grad_norm, actor/lr,
  // training/rollout_probs_diff_mean and _max (|log pi_rollout - log pi_trainer| of tokens of the
  // current version, while the weights are unchanged; absent without such tokens), actor/excluded/*
  // (erred, aborted, partial and empty samples), perf/*, memory/* (GiB). An update that fails after
  // some of its optimizer steps is taken back if memory allows (undo.h); optimizer_step() then has
  // its value from before.
  Result<Metrics> fit(const std::vector<data::Group>& groups, const FitKey& key);

  // Sets the model that the KL penalty of grpo is measured against instead of the reference policy.
  // Its weights are never changed. invalid_argument if its vocabulary size differs from the
  // policy's.
  Status set_kl_model(model::Weights weights);
  // The same with the policy's own weights without their adapter; makes no second copy. The policy
  // must have an adapter.
  void use_base_as_kl_model();

  // One supervised optimizer step: mean negative log-likelihood over masked tokens. Metrics:
  // train/loss, train/grad_norm, train/lr, train/tokens.
  struct SupervisedRow {
    const std::vector<data::TokenId>* tokens;
    const std::vector<uint8_t>* loss_mask;
  };
  Result<Metrics> supervised_step(const std::vector<SupervisedRow>& rows,
                                  const SftOptions& options);
  // Mean loss without an update; NaN if no token carries a loss.
  double supervised_loss(const std::vector<SupervisedRow>& rows, const SftOptions& options);

  // Log-probabilities of tokens[1..] of each sequence under the current weights ([size - 1] each).
  std::vector<std::vector<float>> logprobs(const std::vector<std::vector<data::TokenId>>& sequences,
                                           double temperature);

  // Sets the floating-point operations per second that the machine reaches in a large product (see
  // gemm_peak.h). perf/mfu/actor is the share of it that the operations of the model achieve. 0,
  // the default: no such metric.
  void set_peak_flops(double flops);

  model::Weights& weights();
  int64_t optimizer_step() const;

  // Bytes that a checkpoint of this trainer needs: the model, or only its adapter, and the moments.
  int64_t state_bytes() const;

  // Save and restore moments and step count. The caller saves the weights as a model directory
  // (f32).
  Status save_state(const std::string& directory) const;  // optimizer.safetensors + trainer.json
  Status load_state(const std::string& directory);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshot::train
