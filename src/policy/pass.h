#pragma once
// One forward and backward over packed rows: hidden states with a graph, log-probabilities without
// one. The head runs in chunks at the positions that predict trained tokens only, so nothing of
// size [total, vocab] exists.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "data/types.h"
#include "model/forward.h"
#include "model/logprob.h"
#include "model/weights.h"

namespace longshot::policy {

// A sequence and the tokens of it that matter; mask[0] is ignored (nothing predicts the first
// token). Borrowed.
struct PassRow {
  std::span<const data::TokenId> tokens;  // [n]
  std::span<const uint8_t> mask;          // [n]
};
int64_t target_count(const PassRow& row);

struct MicroBatch {
  model::PackedBatch batch;  // each row up to the predictor of its last target
  std::vector<int64_t>
      predictors;                // [targets] packed position whose distribution is over targets[i]
  std::vector<int32_t> targets;  // [targets]
  std::vector<size_t> rows;      // rows in this micro-batch, as indices into the input
  std::vector<size_t> begins;    // [rows + 1] where each row's targets start
};
// Whole rows, at most `max_tokens` packed tokens unless one row alone is longer. Rows without a
// target appear in no micro-batch.
std::vector<MicroBatch> make_micro_batches(const std::vector<PassRow>& rows, int64_t max_tokens);

// Not thread-safe: backward() adds to the gradients of `weights`, which must outlive the pass.
class Pass {
 public:
  // Keeps the graph unless called under NoGradGuard.
  Pass(model::Weights& weights, const MicroBatch& micro, double temperature, bool with_entropy);

  const std::vector<float>& logprobs() const { return out_.logprobs; }  // [targets]
  const std::vector<float>& entropy() const { return out_.entropy; }    // [targets], if asked for
  // Adds the gradients of a loss whose derivative by logprobs()[i] is grad[i]. Once.
  void backward(const std::vector<float>& grad);

 private:
  model::Weights& weights_;
  const MicroBatch& micro_;
  double temperature_;
  at::Tensor gathered_;  // [targets, hidden]
  model::TokenLogprobs out_;
};

}  // namespace longshot::policy
