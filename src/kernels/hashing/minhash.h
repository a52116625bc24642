#pragma once
// Lowest values of a set under many hash functions (MinHash; Broder, "On the resemblance and
// containment of documents", 1997): the share of functions with equal lowest values estimates the
// Jaccard similarity of two sets. Thread-safe.

#include <cstdint>

namespace longshot::kernels {

// The number of hash functions must be a multiple of this.
constexpr int kMinHashGroup = 16;

// Function f of a value x, in arithmetic modulo 2^32, is u * 0x85ebca6b with
// v = (x ^ seeds[f]) * multipliers[f] and u = v ^ (v >> 16). It is a bijection if the multiplier is
// odd. The values must be well mixed already.
uint32_t min_hash_value(uint32_t value, uint32_t seed, uint32_t multiplier);

// lowest[f] = the smallest value of function f over values[0, count), [functions]; all ones for an
// empty set. The result is the same on every instruction set.
void min_hashes(const uint32_t* values, int64_t count, const uint32_t* seeds,
                const uint32_t* multipliers, int functions, uint32_t* lowest);

}  // namespace longshot::kernels
