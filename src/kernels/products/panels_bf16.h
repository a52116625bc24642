#pragma once
// Panels of bf16 values and their products: the bf16 part of panel_pack.h and gemm.h. Internal to
// this folder. Thread-safe.
//
// With AVX512_BF16 an output is one chain of its sums of two products (VDPBF16PS: the later product
// first), in ascending order of k; elsewhere plain code computes the same chain. Products of bf16
// values are exact in f32, sums are rounded to nearest. The instruction treats denormal numbers as
// 0; plain code does not.

#include <cstddef>

#include "kernels/products/gemm.h"

namespace longshot::kernels {

// Packs one panel, [k / 2][16][2], from `count` rows (row stride ld) of k floats: row r is column r
// of the panel.
void pack_rows_bf16(const float* rows, size_t ld, int count, int k, float* panel);
// The same from k rows of `columns` floats: the values of two rows are interleaved.
void pack_columns_bf16(const float* rows, size_t ld, int k, int columns, float* panel);

// See multiply() and multiply_transposed().
void multiply_bf16(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                   Store store);
void multiply_transposed_bf16(const Panels& w, const float* x, size_t ldx, int rows, float* y,
                              size_t ldy, Store store);

}  // namespace longshot::kernels
