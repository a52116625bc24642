#pragma once
// y = x W^T with W packed once into column panels. k is cut into blocks of 288: an output is the sum, in ascending
// order, of one chain of fused multiply-adds per block. So a row's result has the same bits for any number of rows,
// row position, thread count and vector width (of the targets that have a fused multiply-add). Each output differs
// from the exact sum by at most about (288 + k / 288) * 2^-24 relative to the sum of magnitudes.

#include <cstddef>
#include <span>

#include "rollout/cpu/aligned.h"

namespace longshot::rollout::cpu {

inline constexpr int kPanel = 16;   // columns of y (rows of W) in one panel: a cache line for each k
inline constexpr int kDepth = 288;  // a block of k of one panel: 18 KiB, which stays in the first cache

// W [n, k] row-major -> panels [ceil(n / 16)][k][16], the last one padded with zeros.
class PackedMatrix {
 public:
  // Takes the size; keeps the memory (and the old values) if it is unchanged. Otherwise all values are 0.
  void reset(int n, int k);

  // Copies `rows` x k values of a Hugging Face weight to the columns [column, column + rows). Thread-safe for
  // disjoint columns.
  void set_rows(int column, int rows, const float* weight);
  void set_bias(int column, std::span<const float> bias);

  int n() const { return n_; }
  int k() const { return k_; }
  int panels() const { return (n_ + kPanel - 1) / kPanel; }
  const float* panel(int p) const { return data_.data() + static_cast<size_t>(p) * k_ * kPanel; }
  const float* bias() const { return bias_.data(); }  // [panels * 16], zeros where there is none

 private:
  int n_ = 0, k_ = 0;
  AlignedFloats data_;
  AlignedFloats bias_;
};

enum class Store { set, add };  // y = result, or y += result (the residual connection)

// Rows [0, rows) of x [rows, k] (row stride ldx) times the panels [panel_begin, panel_end) into y [rows, n] (row
// stride ldy). Thread-safe for disjoint panels.
void gemm(const PackedMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
          int panel_begin, int panel_end, Store store);

}  // namespace longshot::rollout::cpu
