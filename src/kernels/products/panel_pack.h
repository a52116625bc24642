#pragma once
// Copies of plain matrices in the panel order that the products read (see gemm.h), rounded to nearest even where the
// panels are bf16. Thread-safe on disjoint panels.

#include <cstddef>

#include "kernels/aligned.h"
#include "kernels/products/gemm.h"

namespace longshot::kernels {

// Panel memory that is used again and again. Grows, never shrinks.
class PanelBuffer {
 public:
  // Makes room for [n / 16 panels][k][16]. What is in it is undefined until packed. format: f32 or bf16.
  void reset(int n, int k, NumberFormat format = NumberFormat::f32);
  Panels panels() const { return {data_.data(), stride_, n_, k_, format_}; }
  int count() const { return (n_ + kPanel - 1) / kPanel; }

  // W = the rows of a [n, k] matrix (row stride ld): W's row is a column of the panel.
  void pack_rows(int panel, const float* matrix, size_t ld);
  // The same for one panel, from the first of its rows on: panels may come from different matrices.
  void pack_panel(int panel, const float* first_row, size_t ld);
  // W = the columns of a [k, n] matrix: y = x M. Or of the rows [begin, begin + count) of one: M is then many, stacked,
  // in bf16 each with an even number of rows but the last.
  void pack_columns(int panel, const float* matrix, size_t ld) {
    pack_columns(panel, matrix, ld, 0, k_);
  }
  void pack_columns(int panel, const float* rows, size_t ld, int begin, int count);

 private:
  float* at(int panel) { return data_.data() + panel * stride_; }

  AlignedFloats data_;
  size_t stride_ = 0;
  int n_ = 0, k_ = 0;
  NumberFormat format_ = NumberFormat::f32;
};

}  // namespace longshot::kernels
