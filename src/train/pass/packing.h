#pragma once
// Which sequences share a forward pass, and which groups share an optimizer step. Index arithmetic
// only; every result is a pure function of the arguments.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace longshot::train {

// How large the passes of a batch are.
struct PassSize {
  int64_t tokens;       // of a micro-batch
  int64_t prompts = 0;  // rows with the same prompt may together have so many times its tokens
  bool share_prompts = false;  // equal prompts of rows in one micro-batch are there once
};

// Cuts [0, lengths.size()) into packs of at most `max_tokens` tokens: longest first, each sequence
// into the first pack with room (first-fit decreasing: at most 11/9 of the fewest possible packs,
// plus one). A sequence longer than max_tokens gets a pack of its own.
std::vector<std::vector<size_t>> pack_sequences(const std::vector<int64_t>& lengths,
                                                int64_t max_tokens);

// A random order of [0, count), cut into `parts` neighbouring pieces whose sizes differ by at most
// one; fewer pieces when there are fewer items, never an empty one.
std::vector<std::vector<size_t>> random_parts(size_t count, int parts, uint64_t key);

}  // namespace longshot::train
