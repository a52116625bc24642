#pragma once
// Cost metrics of training: utilization, and memory by category.

#include "base/metrics.h"
#include "model/format/cost.h"
#include "model/weights.h"
#include "train/optimizer/optimizer.h"
#include "train/pass/pass.h"

namespace longshot::train {

struct Training {
  const model::Weights& weights;
  const AdamW& optimizer;
  const Compute& compute;
  double peak_flops;  // 0: unknown
};

// Floating-point operations that the model needs for a pass: forward, or forward and backward. With
// an adapter, the weight gradients of the frozen base are not counted.
double pass_flops(const model::Weights& weights, const model::Work& work, bool backward);

// perf/train_flops: `flops`, the total of all passes. perf/mfu/actor: the achieved share of the
// peak, if the peak is known. memory/weights_gb, gradients_gb, moments_gb, activations_gb: GiB;
// activations are those of the largest pass so far.
void report_cost(const Training& training, double flops, double seconds, Metrics& metrics);

// memory/kl_model_gb: activations of a frozen model, and its weights except those shared with
// `policy`.
void report_frozen(const model::Weights& frozen, const Compute& compute,
                   const model::Weights& policy, Metrics& metrics);

}  // namespace longshot::train
