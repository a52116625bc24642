#pragma once
// AdamW with moments in 16 or 8 bits instead of 32. The step is that of kernels/rows/adamw.h on
// unpacked values. The new moments are rounded up or down at random, with probabilities that leave
// their expectation unchanged. Without that a decay of 0.999 would never move a rounded moment. The
// random bits are a function of (key, index), so results do not depend on the number of threads,
// and a step can be repeated. Thread-safe on disjoint ranges.
//
// 8 bits: block-wise quantized moments (Dettmers et al., 2110.02861), but with a floating-point
// code that needs no table. In each block of 256 elements x = scale (y - c), where y is the code
// read as a small float with 3 bits of mantissa, and c is its smallest value, so that code 0 is 0.
// m has a sign and 4 bits of exponent; v has 5 bits of exponent, which reach down to 2^-34 of the
// block's largest value.

#include <cstdint>

#include "kernels/rows/adamw.h"

namespace longshot::kernels {

constexpr int kMomentBlock = 256;

// `first`: the index of element 0 in its tensor.
void adamw_bf16(const AdamWStep& step, uint32_t key, int64_t first, const float* gradient,
                int64_t count, float* weight, uint16_t* m, uint16_t* v);

struct ByteMoments {
  uint8_t *m, *v;            // [count]
  float *m_scale, *v_scale;  // [blocks]
};
// `first` must be a multiple of kMomentBlock.
void adamw_bytes(const AdamWStep& step, uint32_t key, int64_t first, const float* gradient,
                 int64_t count, float* weight, const ByteMoments& moments);

// Unpack and pack one block; public for tests. count <= kMomentBlock. `signed_values`: the code of
// m, else that of v.
void unpack_block(const uint8_t* codes, float scale, int count, bool signed_values, float* out);
float pack_block(const float* values, int count, bool signed_values, uint32_t key, int64_t first,
                 uint8_t* codes);  // returns the scale

}  // namespace longshot::kernels
