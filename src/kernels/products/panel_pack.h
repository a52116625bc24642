#pragma once
// Copies plain matrices into the panel order that the products read (see gemm.h), rounded to
// nearest even if the panels are bf16. Thread-safe on disjoint panels.

#include <cstddef>

#include "kernels/aligned.h"
#include "kernels/products/gemm.h"

namespace longshot::kernels {

// Reusable panel memory. It grows but never shrinks.
class PanelBuffer {
 public:
  // Makes room for [n / 16 panels][k][16]. The contents are undefined until packed. format: f32 or
  // bf16.
  void reset(int n, int k, NumberFormat format = NumberFormat::f32);
  Panels panels() const { return {data_.data(), stride_, n_, k_, format_}; }
  int count() const { return (n_ + kPanel - 1) / kPanel; }

  // Packs W = the rows of an [n, k] matrix (row stride ld): a row of W is a column of the panel.
  void pack_rows(int panel, const float* matrix, size_t ld);
  // The same, but `first_row` is the first of this panel's rows, so that panels may come from
  // different matrices.
  void pack_panel(int panel, const float* first_row, size_t ld);
  // Packs W = the columns of a [k, n] matrix M, for y = x M. The second form packs only rows
  // [begin, begin + count) of M; `rows` points to the first of them. So M may be a stack of
  // matrices; in bf16 each but the last must have an even number of rows.
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
