#include "kernels/products/dense.h"

#include <algorithm>

namespace longshot::kernels {
namespace {

// Rows of x in one product: these rows of a block of k, and a panel, fit the second-level cache. A
// multiple of the tile heights 6, 8 and 12.
constexpr int kRowBlock = 48;

// Divides rows into parts of at most kRowBlock, the same number of parts for each thread where
// there are enough rows.
class Parts {
 public:
  Parts(int64_t rows, int threads, NumberFormat products)
      : rows_(rows), unit_(products == NumberFormat::bf16 ? kTileRowsBf16 : 1) {
    const auto parts = static_cast<int>((rows + kRowBlock - 1) / kRowBlock);
    const int even = (parts + threads - 1) / threads * threads;
    count_ = static_cast<int>(std::min<int64_t>(units(), even));
  }
  int count() const { return count_; }
  int64_t begin(int part) const { return std::min(rows_, units() * part / count_ * unit_); }
  int64_t end(int part) const { return begin(part + 1); }

 private:
  int64_t units() const { return (rows_ + unit_ - 1) / unit_; }

  int64_t rows_;
  int unit_;  // rows that stay in one part
  int count_;
};

bool side_by_side(std::span<const DensePart> parts) {
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].column != parts[i - 1].column + parts[i - 1].n) return false;
  }
  return true;
}

// True if no panel contains columns of two parts.
bool whole_panels(std::span<const DensePart> parts) {
  return std::ranges::all_of(parts.first(parts.size() - 1),
                             [](const DensePart& part) { return part.n % kPanel == 0; });
}

// True if no pair of depth values, which bf16 panels store together, contains values of two parts.
bool whole_pairs(std::span<const DensePart> parts) {
  return std::ranges::all_of(parts.first(parts.size() - 1),
                             [](const DensePart& part) { return part.n % 2 == 0; });
}

int columns_of(std::span<const DensePart> parts) {
  return parts.back().column + parts.back().n - parts.front().column;
}

}  // namespace

// Threads take blocks of rows; the panels stream through the shared cache. `y` begins at the column
// of the first part.
void Dense::multiply_rows(ConstRows x, int64_t rows, std::span<const DensePart> biases, Rows y,
                          Store store) {
  const Panels w = panels_.panels();
  const Parts blocks(rows, pool_.threads(), products_);
  pool_.parallel_for(blocks.count(), [&](int b) {
    const int64_t begin = blocks.begin(b), end = blocks.end(b);
    const auto height = static_cast<int>(end - begin);
    multiply(w, x.row(begin), x.stride, height, y.row(begin), y.stride, store);
    for (const DensePart& part : biases) {
      for (int64_t r = begin; part.bias != nullptr && r < end; ++r) {
        float* out = y.row(r) + part.column - biases.front().column;
        for (int c = 0; c < part.n; ++c) out[c] += part.bias[c];
      }
    }
  });
}

void Dense::forward(ConstRows x, int64_t rows, std::span<const DensePart> parts, int k, Rows y,
                    Store store) {
  if (!side_by_side(parts) || !whole_panels(parts)) {
    for (size_t i = 0; i < parts.size(); ++i) forward(x, rows, parts.subspan(i, 1), k, y, store);
    return;
  }
  panels_.reset(columns_of(parts), k, products_);
  const int start = parts.front().column;
  pool_.parallel_for(panels_.count(), [&](int p) {
    const int column = start + p * kPanel;
    const DensePart& part = *std::ranges::find_if(
        parts, [&](const DensePart& of) { return column < of.column + of.n; });
    panels_.pack_panel(p, part.w + static_cast<size_t>(column - part.column) * k,
                       static_cast<size_t>(k));
  });
  multiply_rows(x, rows, parts, {y.data + start, y.stride}, store);
}

void Dense::input_gradient(ConstRows dy, int64_t rows, std::span<const DensePart> parts, int k,
                           Rows dx, Store store) {
  if (!side_by_side(parts) || (products_ == NumberFormat::bf16 && !whole_pairs(parts))) {
    for (size_t i = 0; i < parts.size(); ++i)
      input_gradient(dy, rows, parts.subspan(i, 1), k, dx, i == 0 ? store : Store::add);
    return;
  }
  panels_.reset(k, columns_of(parts), products_);
  const int start = parts.front().column;
  pool_.parallel_for(panels_.count(), [&](int p) {
    for (const DensePart& part : parts)
      panels_.pack_columns(p, part.w, static_cast<size_t>(k), part.column - start, part.n);
  });
  multiply_rows({dy.data + start, dy.stride}, rows, {}, dx, store);
}

// Processes blocks of rows one after the other, so that the packed x stays small. Threads share the
// rows of the dw.
void Dense::weight_gradient(ConstRows dy, ConstRows x, int64_t rows,
                            std::span<const DenseGradient> parts, int k) {
  struct Task {
    const DenseGradient* part;
    int64_t first, last;
  };
  std::vector<Task> tasks;
  for (const DenseGradient& part : parts) {
    const Parts blocks(part.n, pool_.threads(), products_);
    for (int i = 0; i < blocks.count(); ++i)
      tasks.push_back({&part, blocks.begin(i), blocks.end(i)});
  }
  const int most = panels_depth(products_);
  for (int64_t begin = 0; begin < rows && !tasks.empty(); begin += most) {
    const auto depth = static_cast<int>(std::min<int64_t>(most, rows - begin));
    panels_.reset(k, depth, products_);
    pool_.parallel_for(panels_.count(),
                       [&](int p) { panels_.pack_columns(p, x.row(begin), x.stride); });
    const Panels packed = panels_.panels();
    pool_.parallel_for(static_cast<int>(tasks.size()), [&](int i) {
      const auto& [part, first, last] = tasks[i];
      multiply_transposed(packed, dy.row(begin) + part->column + first, dy.stride,
                          static_cast<int>(last - first), part->dw + first * k,
                          static_cast<size_t>(k), Store::add);
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
