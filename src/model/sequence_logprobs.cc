#include "model/sequence_logprobs.h"

#include <ATen/core/grad_mode.h>

#include "base/check.h"
#include "model/torch/forward.h"
#include "model/torch/layers.h"
#include "model/torch/logprob.h"

namespace longshot::model {
namespace {

// Computes the log-probabilities of sequences [begin, end) in one forward pass.
void score_batch(const Weights& weights, const std::vector<std::vector<int32_t>>& sequences,
                 double temperature, size_t begin, size_t end,
                 std::vector<std::vector<float>>& out) {
  PackedBatch batch;
  std::vector<int64_t> rows;  // the hidden state at a token predicts the next one
  std::vector<int32_t> targets;
  for (size_t s = begin; s < end; ++s) {
    for (size_t t = 1; t < sequences[s].size(); ++t) {
      rows.push_back(batch.total() + static_cast<int64_t>(t) - 1);
      targets.push_back(sequences[s][t]);
    }
    batch.append(sequences[s]);
  }
  if (rows.empty()) return;
  const at::Tensor hidden =
      hidden_states(weights, batch).index_select(0, index_tensor(rows, weights.device()));
  const std::vector<float> values =
      token_logprobs(hidden, head_weight(weights), targets, temperature, /*with_entropy=*/false)
          .logprobs;
  auto next = values.begin();
  for (size_t s = begin; s < end; ++s) {
    if (sequences[s].empty()) continue;
    const auto last = next + static_cast<int64_t>(sequences[s].size()) - 1;
    out[s].assign(next, last);
    next = last;
  }
}

}  // namespace

size_t batch_end(const std::vector<std::vector<int32_t>>& sequences, size_t begin,
                 int64_t batch_tokens) {
  size_t end = begin;
  int64_t tokens = 0;
  do {
    tokens += static_cast<int64_t>(sequences[end++].size());
  } while (end < sequences.size() &&
           tokens + static_cast<int64_t>(sequences[end].size()) <= batch_tokens);
  return end;
}

std::vector<std::vector<float>> sequence_logprobs(
    const Weights& weights, const std::vector<std::vector<int32_t>>& sequences, double temperature,
    int64_t batch_tokens) {
  at::NoGradGuard no_grad;
  std::vector<std::vector<float>> out(sequences.size());
  for (size_t begin = 0; begin < sequences.size();) {
    const size_t end = batch_end(sequences, begin, batch_tokens);
    score_batch(weights, sequences, temperature, begin, end, out);
    begin = end;
  }
  return out;
}

}  // namespace longshot::model
