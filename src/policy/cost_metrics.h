#pragma once
// What training has cost: metrics of utilization and of memory by category.

#include "base/metrics.h"
#include "model/format/cost.h"
#include "model/weights.h"
#include "policy/optimizer.h"
#include "policy/pass.h"

namespace longshot::policy {

struct Training {
  const model::Weights& weights;
  const AdamW& optimizer;
  const Compute& compute;
  double peak_flops;  // 0: unknown
};

// perf/train_flops: what forward and backward of `work` need, model::training_flops() (with an adapter without the
// gradients of the weights beside it). perf/mfu/actor: the share of the peak, if that is known. memory/weights_gb,
// gradients_gb, moments_gb, activations_gb: GiB; activations are those of the largest pass so far.
void report_cost(const Training& training, const model::Work& work, double seconds,
                 Metrics& metrics);

}  // namespace longshot::policy
