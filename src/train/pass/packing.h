#pragma once
// Which sequences share a forward pass, and which groups share an optimizer step. Index arithmetic
// only; every result is a pure function of the arguments.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace longshot::train {

// Cuts [0, lengths.size()) into packs of at most `max_tokens` tokens: longest first, each sequence
// into the first pack with room (first-fit decreasing: at most 11/9 of the fewest possible packs,
// plus one). A sequence longer than max_tokens gets a pack of its own.
std::vector<std::vector<size_t>> pack_sequences(const std::vector<int64_t>& lengths,
                                                int64_t max_tokens);

// Cuts a random order of [0, count), keyed by `key`, into `parts` contiguous pieces whose sizes
// differ by at most one. Returns fewer pieces if there are fewer items; no piece is empty.
std::vector<std::vector<size_t>> random_parts(size_t count, int parts, uint64_t key);

}  // namespace longshot::train
