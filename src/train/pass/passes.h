#pragma once
// Rows through a model: forward passes, and the gradient of a loss of log-probabilities. The rows
// are cut into micro-batches, so memory does not depend on their number.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/compute.h"
#include "train/pass/micro_batches.h"

namespace longshot::train {

struct PassOptions {
  int64_t micro_batch_tokens = 0;  // packed tokens of a pass; 0: the fastest size
  double temperature = 1;
  bool with_entropy = false;
};

// Sums over passes.
struct PassTotals {
  int64_t packed_tokens = 0;    // through the layers
  int64_t unshared_tokens = 0;  // the same if no prompt were shared
  int64_t targets = 0;
  double flops = 0;  // that the model needs for these passes

  void merge(const PassTotals& other);
};

// Floating-point operations that the model needs for a pass: forward, or forward and backward. With
// an adapter, the weight gradients of the frozen base are not counted.
double pass_flops(const model::Weights& weights, const model::Work& work, bool backward);
// Adds a pass over `micro` to `totals`.
void count_pass(const MicroBatch& micro, const model::Weights& weights, bool backward,
                PassTotals& totals);

// The log-probabilities of each micro-batch, without a gradient.
using PassVisitor = std::function<void(const MicroBatch&, const model::TokenLogprobs&)>;
PassTotals forward_passes(model::Compute& compute, const std::vector<PassRow>& rows,
                          const PassOptions& options, const PassVisitor& visit);

// A loss as a function of the log-probabilities of whole rows. Called for one micro-batch after the
// other, `expected` before `gradient`.
struct PassLoss {
  // Returns what `gradient` will probably write, [targets], or nothing if that is not known. A
  // correct prediction makes the pass faster.
  std::function<std::vector<float>(const MicroBatch&)> expected;
  // Writes d loss / d logprobs[i] to grad[i], [targets].
  std::function<void(const MicroBatch&, const model::TokenLogprobs&, std::span<float> grad)>
      gradient;
  // Writes d loss / d entropy[i] to grad[i], [targets], where no gradient is expected. Empty if the
  // loss has no entropies; needs PassOptions::with_entropy. Called after `gradient`.
  std::function<void(const MicroBatch&, const model::TokenLogprobs&, std::span<float> grad)>
      entropy_gradient = {};
};

// Adds the gradients of the loss over all rows to those of the compute's weights, and what was
// computed to `totals`. Returns false if the gradient is exactly 0; no weight has a gradient then.
bool add_gradients(model::Compute& compute, const std::vector<PassRow>& rows,
                   const PassOptions& options, const PassLoss& loss, PassTotals& totals);

}  // namespace longshot::train
