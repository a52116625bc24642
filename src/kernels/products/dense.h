#pragma once
// The products of a training step over many rows: y = x W^T and its two gradients. Every matrix is
// f32 and stays as it is in memory. Results do not depend on the number of threads; a row of y or
// dx does not depend on the other rows.
//
// In bf16 the two factors of each product are rounded to bf16, and the products are summed in f32:
// see gemm.h.

#include <cstddef>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/products/panel_pack.h"

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

// One of several weights that the same x is multiplied with. Its columns of y begin at `column`;
// there are n of them.
struct DensePart {
  const float* w;  // [n, k]
  int column, n;
  const float* bias = nullptr;  // [n], or null
};
struct DenseGradient {
  float* dw;  // [n, k]
  int column, n;
};

// Owns the copies in panels; not thread-safe. `pool` is borrowed. products: f32, or bf16, which is
// fast only if has_bf16_products().
class Dense {
 public:
  explicit Dense(ThreadPool& pool, NumberFormat products = NumberFormat::f32)
      : pool_(pool), products_(products) {}

  // y [rows, n] = x [rows, k] w[n, k]^T, or += it, for every part. Adjacent parts of whole panels
  // are computed as one product.
  void forward(ConstRows x, int64_t rows, std::span<const DensePart> parts, int k, Rows y,
               Store store);
  void forward(ConstRows x, int64_t rows, const float* w, int n, int k, const float* bias, Rows y,
               Store store) {
    const DensePart part{w, 0, n, bias};
    forward(x, rows, {&part, 1}, k, y, store);
  }
  // dx [rows, k] = the sum over the parts of dy [rows, n] w, or += it.
  void input_gradient(ConstRows dy, int64_t rows, std::span<const DensePart> parts, int k, Rows dx,
                      Store store);
  void input_gradient(ConstRows dy, int64_t rows, const float* w, int n, int k, Rows dx,
                      Store store) {
    const DensePart part{w, 0, n};
    input_gradient(dy, rows, {&part, 1}, k, dx, store);
  }
  // dw [n, k] += dy^T x, for every part.
  void weight_gradient(ConstRows dy, ConstRows x, int64_t rows,
                       std::span<const DenseGradient> parts, int k);
  void weight_gradient(ConstRows dy, ConstRows x, int64_t rows, int n, int k, float* dw) {
    const DenseGradient part{dw, 0, n};
    weight_gradient(dy, x, rows, {&part, 1}, k);
  }
  // dbias [n] += the sum of dy's rows.
  void bias_gradient(ConstRows dy, int64_t rows, int n, float* dbias);

  ThreadPool& pool() { return pool_; }

 private:
  void multiply_rows(ConstRows x, int64_t rows, std::span<const DensePart> biases, Rows y,
                     Store store);

  ThreadPool& pool_;
  NumberFormat products_;
  PanelBuffer panels_;
};

}  // namespace longshot::kernels
