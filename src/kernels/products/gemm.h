#pragma once
// y = x W^T with W laid out once in column panels.
//
// f32, bf16, int4: f32 arithmetic on the values that the panels represent. k is cut into
// blocks of depth_of(format). An output is the sum, in ascending order, of one chain of fused
// multiply-adds per block. So a row's result has the same bits for any number of rows, row
// position, thread count and vector width (on targets that have a fused multiply-add). Each output
// differs from the exact sum by at most about (depth + k / depth) * 2^-24 relative to the sum of
// magnitudes.
//
// bf16 with gemm_bf16(), on processors that multiply bf16 (AVX512_BF16): the rows of x are rounded
// to bf16 too, and an output is one chain of sums of two products, in ascending order.
//
// int8: the rows of x are quantized first, each with its own scale: to 8 bits with VNNI, to 12 bits
// without it, where the products are 16-bit ones anyway. Products are summed in 32-bit integers,
// which is exact, so the bits are the same for any order of the sums and for any instruction set
// except VNNI.

#include <cstddef>
#include <cstdint>

#include "kernels/aligned.h"
#include "kernels/products/panel_matrix.h"

namespace longshot::kernels {

// Values of k in a block. f32 panels stream from the second-level cache, so their blocks are long:
// y is read and written again for every further block. Other formats are unpacked into a buffer of
// one block first, which must stay in the first-level cache.
constexpr int depth_of(NumberFormat format) {
  return format == NumberFormat::f32 ? 768 : 288;
}

enum class Store { set, add };  // y = result, or y += result (the residual connection)

// Multiplies rows [0, rows) of x [rows, k] (row stride ldx) by the panels [panel_begin, panel_end)
// into y [rows, n] (row stride ldy). W must not be int8. Thread-safe for disjoint panels.
void gemm(const PanelMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
          int panel_begin, int panel_end, Store store);

// Rows of x in the order in which a product of many rows reads them: for each block of k and each
// tile of rows a strip [k][rows of the tile]. The result is the same as without strips.
class RowStrips {
 public:
  // True if strips make a product faster on this processor, with weights that come from memory.
  // With vectors of 16 the loads of x hide behind the multiply-adds anyway.
  static bool pay(int rows);
  // `format` is that of the weights.
  void reset(int rows, int k, NumberFormat format);
  int tiles() const { return tiles_; }
  // Copies the rows of one tile from x, which is all of [rows, k]. Thread-safe for different tiles.
  void set_tile(int tile, const float* x, size_t ldx);

  int rows() const { return rows_; }
  const float* values() const { return values_.data(); }

 private:
  int rows_ = 0, k_ = 0, block_depth_ = 0, tiles_ = 0;
  AlignedFloats values_;
};
void gemm(const PanelMatrix& w, const RowStrips& x, float* y, size_t ldy, int panel_begin,
          int panel_end, Store store);

// [rows][k], rows ldx apart -> [k][rows].
void transpose_rows(const float* x, size_t ldx, int rows, int k, float* out);

// Weights in panels, or a part of them: [panel][k][16], panels `stride` floats apart. `values` is
// aligned to a vector. bf16 is [panel][k / 2][16][2]: a pair of values takes the place of a float,
// and an odd k is padded with zeros.
struct Panels {
  const float* values;
  size_t stride;
  int n, k;
  NumberFormat format = NumberFormat::f32;  // f32 or bf16
};
// Values of k in a block of a product of panels. A block has the same bytes in both formats.
constexpr int kPanelsDepth = depth_of(NumberFormat::f32);
constexpr int kDepthBf16 = 2 * kPanelsDepth;
constexpr int panels_depth(NumberFormat format) {
  return format == NumberFormat::bf16 ? kDepthBf16 : kPanelsDepth;
}
constexpr int kTileRowsBf16 = 8;  // rows of x that a bf16 product handles at a time

// y [rows, n] = x [rows, k] W^T, or += it, by the rules above. If W is bf16, x is rounded to bf16
// as well, and an output is the sum, in ascending order, of one chain for each block of
// panels_depth() values of k: see panels_bf16.h.
void multiply(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
              Store store);
// The same for a transposed x, [k, rows] (row stride ldx).
void multiply_transposed(const Panels& w, const float* x, size_t ldx, int rows, float* y,
                         size_t ldy, Store store);

// True if this processor multiplies bytes (AVX-512 with VNNI).
bool has_byte_products();
// True if this processor multiplies bf16. Then bf16 weights may be used with gemm_bf16(), which is
// faster than gemm().
bool has_bf16_products();

// Rows of x in bf16.
class Bf16Rows {
 public:
  void reset(int rows, int k);
  // Rounds one row of k floats to nearest even. Thread-safe for different rows.
  void set_row(int row, const float* x);
  const uint16_t* row(int r) const { return values_.data() + static_cast<size_t>(r) * stride_; }

 private:
  int k_ = 0;
  size_t stride_ = 0;
  std::vector<uint16_t, LineAllocator<uint16_t>> values_;
};

// gemm() for W in bf16 and rows [0, rows) of x. Requires has_bf16_products().
void gemm_bf16(const PanelMatrix& w, const Bf16Rows& x, int rows, float* y, size_t ldy,
               int panel_begin, int panel_end, Store store);

// The largest |q| of rows of k values on this processor: 127 with VNNI, at most 2047 without it.
// Sums of k products of a q and a weight byte then stay within 32 bits.
int int8_levels(int k);

// Rows of x as integers: value = q * scale, |q| <= int8_levels(k).
class QuantizedRows {
 public:
  void reset(int rows, int k);
  // Quantizes one row of k floats. Thread-safe for different rows.
  void set_row(int row, const float* x);

  int k() const { return k_; }
  const int16_t* row(int r) const { return values_.data() + static_cast<size_t>(r) * stride_; }
  const int8_t* row_bytes(int r) const { return bytes_.data() + static_cast<size_t>(r) * stride_; }
  size_t stride() const { return stride_; }
  float scale(int r) const { return scales_[r]; }
  int32_t sum(int r) const { return sums_[r]; }  // of q

 private:
  int k_ = 0;
  size_t stride_ = 0;
  // Only one of the two is filled: bytes_ with VNNI, values_ without it.
  std::vector<int8_t, LineAllocator<int8_t>> bytes_;
  std::vector<int16_t, LineAllocator<int16_t>> values_;
  std::vector<float> scales_;
  std::vector<int32_t> sums_;
};

// gemm() for W in int8 and rows [0, rows) of x.
void gemm_int8(const PanelMatrix& w, const QuantizedRows& x, int rows, float* y, size_t ldy,
               int panel_begin, int panel_end, Store store);

}  // namespace longshot::kernels
