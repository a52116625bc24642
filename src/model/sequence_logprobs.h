#pragma once
// Log-probabilities of whole sequences: batches of packed tokens through the one forward.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/weights.h"

namespace longshot::model {

// For each sequence the log-probabilities of tokens[1..], [size - 1] (empty for fewer than two
// tokens), of softmax(logits / temperature). Sequences go through the model in their order, at most
// `batch_tokens` at a time (a longer one alone). Every id must be in the vocabulary. Records no
// gradient.
std::vector<std::vector<float>> sequence_logprobs(
    const Weights& weights, const std::vector<std::vector<int32_t>>& sequences, double temperature,
    int64_t batch_tokens = 4096);

// Where the batch of sequences from `begin` on ends: at most `batch_tokens` tokens, and one sequence at least.
size_t batch_end(const std::vector<std::vector<int32_t>>& sequences, size_t begin,
                 int64_t batch_tokens);

}  // namespace longshot::model
