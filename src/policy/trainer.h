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

#include "base/json.h"
#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "model/weights.h"
#include "policy/options.h"
#include "policy/packing.h"

namespace longshot::policy {

class Trainer {
 public:
  Trainer(model::Weights weights, OptimizerOptions optimizer, AlgorithmOptions algorithm,
          int64_t total_steps);
  ~Trainer();

  // One RL iteration: rows from the scored samples of each group, mini-batches in an order keyed by
  // (seed, iteration). Metrics: actor/pg_loss, actor/kl, actor/entropy, actor/grad_norm, actor/lr,
  // training/rollout_probs_diff_mean and _max (|log pi_rollout - log pi_trainer| at the first
  // forward of unchanged weights), perf/* , memory/* (GiB). Excluded (erred, aborted) samples are counted.
  Result<Metrics> fit(const std::vector<data::Group>& groups, uint64_t seed, int64_t iteration);

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

  // Memory of the activations of a pass over so many packed tokens, `targets` of them predicted. 0 with libtorch, which
  // does not tell.
  double activation_bytes(int64_t tokens, int64_t targets) const;
  // Of the passes of fit().
  PassSize pass_size() const;

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

}  // namespace longshot::policy
