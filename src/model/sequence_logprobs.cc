#include "model/sequence_logprobs.h"

#include "model/pass.h"

namespace longshot::model {
namespace {

// Computes the log-probabilities of sequences [begin, end) in one forward pass.
void compute_batch(Compute& compute, const std::vector<std::vector<int32_t>>& sequences,
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
    if (!sequences[s].empty()) batch.append(sequences[s]);
  }
  if (rows.empty()) return;
  const std::vector<float> values =
      compute.logprobs({batch, rows, targets, temperature}, {}).logprobs;
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
    Compute& compute, const std::vector<std::vector<int32_t>>& sequences, double temperature,
    int64_t batch_tokens) {
  const int64_t most = compute.pass_size(batch_tokens).tokens;
  std::vector<std::vector<float>> out(sequences.size());
  for (size_t begin = 0; begin < sequences.size();) {
    const size_t end = batch_end(sequences, begin, most);
    compute_batch(compute, sequences, temperature, begin, end, out);
    begin = end;
  }
  return out;
}

}  // namespace longshot::model
