#pragma once
// Differences of two arrays of 16-bit words, such as two versions of weights in bf16. Thread-safe.

#include <cstddef>
#include <cstdint>

namespace longshot::kernels {

// Most words of a call: their positions fit in 16 bits.
constexpr size_t kMostWords = 1 << 16;
// Room that the results need after their last element, because whole vectors are stored.
constexpr size_t kWordPadding = 64;

// Stores the position and the new value of each word that differs, in order, and returns their
// number. `positions` and `values` need room for count + kWordPadding elements; count is at most
// kMostWords. The result is the same on every instruction set.
size_t changed_words(const uint16_t* before, const uint16_t* after, size_t count,
                     uint16_t* positions, uint16_t* values);

}  // namespace longshot::kernels
