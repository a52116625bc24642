#pragma once
// Group -> new weights. The trainer is blind to the algorithm: an objective (policy/loss/) maps
// recorded and present log-probabilities of whole sequences to a loss and its gradient with respect
// to each token's log-probability; the trainer packs rows, runs the one forward, and applies the
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
  int64_t version = 0;  // of the trainer's present weights, as data::Segment counts
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
  // present version, at the first forward of unchanged weights; absent without such tokens),
  // perf/*, memory/* (GiB). Excluded (erred, aborted) samples are counted. An update that fails
  // after some of its optimizer steps is taken back if memory allows (undo.h); optimizer_step() is
  // then what it was before.
  Result<Metrics> fit(const std::vector<data::Group>& groups, const FitKey& key);

  // The model that the KL penalty of grpo is measured against instead of the reference policy: its
  // weights are never changed. Error: its vocabulary has another size than the policy's.
  Status set_kl_model(model::Weights weights);
  // The same with the policy's own weights without their adapter: no second copy is made.
  void use_base_as_kl_model();

  // One supervised optimizer step: mean negative log-likelihood over masked tokens. Metrics:
  // train/loss, train/grad_norm, train/lr, train/tokens.
  struct SupervisedRow {
    const std::vector<data::TokenId>* tokens;
    const std::vector<uint8_t>* loss_mask;
  };
  Result<Metrics> supervised_step(const std::vector<SupervisedRow>& rows,
                                  const SftOptions& options);
  // Mean loss without an update.
  double supervised_loss(const std::vector<SupervisedRow>& rows, const SftOptions& options);

  // Log-probabilities of tokens[1..] of each sequence under the present weights ([size - 1] each).
  std::vector<std::vector<float>> logprobs(const std::vector<std::vector<data::TokenId>>& sequences,
                                           double temperature);

  // Floating-point operations per second that the machine reaches in a large product (see gemm_peak.h); the metric
  // perf/mfu/actor is the share of it that goes into what the model needs. 0, the default: no such metric.
  void set_peak_flops(double flops);

  model::Weights& weights();
  int64_t optimizer_step() const;

  // Bytes of what a checkpoint holds of this trainer: the model, or its adapters, and the moments.
  int64_t state_bytes() const;

  // Moments and step count; weights are saved by the caller as a model directory (f32).
  Status save_state(const std::string& directory) const;  // optimizer.safetensors + trainer.json
  Status load_state(const std::string& directory);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshot::train
