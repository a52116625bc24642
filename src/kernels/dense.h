#pragma once
// The products of a training step over many rows: y = x W^T and its two gradients, in f32, with every matrix as it lies
// in memory. Results do not depend on the number of threads; a row of y and of dx not on the other rows.

#include <cstddef>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/panel_pack.h"

namespace longshot::kernels {

// Rows of floats, `stride` apart.
template <typename T>
struct RowsOf {
  T* data;
  size_t stride;
  T* row(int64_t r) const { return data + static_cast<size_t>(r) * stride; }
};
using Rows = RowsOf<float>;
using ConstRows = RowsOf<const float>;

// Owns the packed copies; not thread-safe. `pool` is borrowed.
class Dense {
 public:
  explicit Dense(ThreadPool& pool) : pool_(pool) {}

  // y [rows, n] = x [rows, k] w[n, k]^T, or += it. bias [n] or null.
  void forward(ConstRows x, int64_t rows, const float* w, int n, int k, const float* bias, Rows y,
               Store store);
  // dx [rows, k] = dy [rows, n] w, or += it.
  void input_gradient(ConstRows dy, int64_t rows, const float* w, int n, int k, Rows dx,
                      Store store);
  // dw [n, k] += dy^T x.
  void weight_gradient(ConstRows dy, ConstRows x, int64_t rows, int n, int k, float* dw);
  // dbias [n] += the sum of dy's rows.
  void bias_gradient(ConstRows dy, int64_t rows, int n, float* dbias);

  ThreadPool& pool() { return pool_; }

 private:
  void multiply_rows(ConstRows x, int64_t rows, const float* bias, Rows y, Store store);

  ThreadPool& pool_;
  PanelBuffer panels_;
};

}  // namespace longshot::kernels
