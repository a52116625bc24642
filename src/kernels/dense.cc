#include "kernels/dense.h"

#include <algorithm>

namespace longshot::kernels {
namespace {

// Of x in one product: so many rows of a block of k, and a panel, fit the second cache; whole tiles of six.
constexpr int kRowBlock = 48;

// Parts of at most kRowBlock rows, as many for each thread.
int parts_of(int64_t rows, int threads) {
  const auto parts = static_cast<int>((rows + kRowBlock - 1) / kRowBlock);
  const int even = (parts + threads - 1) / threads * threads;
  return static_cast<int>(std::min<int64_t>(rows, even));
}

}  // namespace

// Threads take blocks of rows; the panels stream through the shared cache.
void Dense::multiply_rows(ConstRows x, int64_t rows, const float* bias, Rows y, Store store) {
  const Panels w = panels_.panels();
  const int blocks = parts_of(rows, pool_.threads());
  pool_.parallel_for(blocks, [&](int b) {
    const int64_t begin = rows * b / blocks, end = rows * (b + 1) / blocks;
    const auto height = static_cast<int>(end - begin);
    multiply(w, x.row(begin), x.stride, height, y.row(begin), y.stride, store);
    if (bias == nullptr) return;
    for (int64_t r = begin; r < end; ++r) {
      float* out = y.row(r);
      for (int c = 0; c < w.n; ++c) out[c] += bias[c];
    }
  });
}

void Dense::forward(ConstRows x, int64_t rows, const float* w, int n, int k, const float* bias,
                    Rows y, Store store) {
  panels_.reset(n, k);
  pool_.parallel_for(panels_.count(),
                     [&](int p) { panels_.pack_rows(p, w, static_cast<size_t>(k)); });
  multiply_rows(x, rows, bias, y, store);
}

void Dense::input_gradient(ConstRows dy, int64_t rows, const float* w, int n, int k, Rows dx,
                           Store store) {
  panels_.reset(k, n);
  pool_.parallel_for(panels_.count(),
                     [&](int p) { panels_.pack_columns(p, w, static_cast<size_t>(k)); });
  multiply_rows(dy, rows, nullptr, dx, store);
}

// Blocks of rows one after the other, so that the packed x stays small; threads share the rows of dw.
void Dense::weight_gradient(ConstRows dy, ConstRows x, int64_t rows, int n, int k, float* dw) {
  const int parts = parts_of(n, pool_.threads());
  for (int64_t begin = 0; begin < rows; begin += kPanelsDepth) {
    const auto depth = static_cast<int>(std::min<int64_t>(kPanelsDepth, rows - begin));
    panels_.reset(k, depth);
    pool_.parallel_for(panels_.count(),
                       [&](int p) { panels_.pack_columns(p, x.row(begin), x.stride); });
    const Panels packed = panels_.panels();
    pool_.parallel_for(parts, [&](int part) {
      const int first = n * part / parts, last = n * (part + 1) / parts;
      multiply_transposed(packed, dy.row(begin) + first, dy.stride, last - first,
                          dw + static_cast<size_t>(first) * k, static_cast<size_t>(k), Store::add);
    });
  }
}

void Dense::bias_gradient(ConstRows dy, int64_t rows, int n, float* dbias) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* in = dy.row(r);
    for (int c = 0; c < n; ++c) dbias[c] += in[c];
  }
}

}  // namespace longshot::kernels
