#pragma once
// Log-probabilities of whole sequences, in batches of packed tokens.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/compute.h"

namespace longshot::model {

// For each sequence the log-probabilities of tokens[1..], [size - 1] (empty for fewer than two
// tokens), under softmax(logits / temperature). Sequences are computed in their order, at most
// `batch_tokens` tokens at a time (0: the fastest number for the compute; a longer sequence gets
// its own batch). Every id must be in the vocabulary. Records no gradient.
std::vector<std::vector<float>> sequence_logprobs(
    Compute& compute, const std::vector<std::vector<int32_t>>& sequences, double temperature,
    int64_t batch_tokens = 0);

// The end of the batch of sequences that starts at `begin`: at most `batch_tokens` tokens, and at
// least one sequence.
size_t batch_end(const std::vector<std::vector<int32_t>>& sequences, size_t begin,
                 int64_t batch_tokens);

}  // namespace longshot::model
