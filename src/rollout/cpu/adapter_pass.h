#pragma once
// What adapters add to the products of a pass: y += s B (A x), only for the rows that have an
// adapter. The rows of one adapter are multiplied together. The bits of a row depend on the row and
// its adapter alone.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/aligned.h"
#include "kernels/products/dense.h"
#include "rollout/cpu/panel_adapter.h"
#include "rollout/cpu/thread_ranges.h"

namespace longshot::rollout::cpu {

// Consecutive rows of a pass that have the same adapter.
struct AdapterRows {
  const PanelAdapter* adapter;
  int first, rows;
};

// Not thread-safe.
class AdapterPass {
 public:
  // Must be called for each pass, with rows in ascending order. Rows outside the runs have no
  // adapter.
  void reset(std::span<const AdapterRows> runs) { runs_.assign(runs.begin(), runs.end()); }
  bool empty() const { return runs_.empty(); }

  // Adds to the rows of y what the adapters add to this product of x. Both have all rows of the
  // pass.
  void add(int layer, Product product, kernels::ConstRows x, kernels::Rows y,
           const ThreadRanges& workers);

 private:
  // One adapter's part of a product. Its A x begins at low_[offset], rows `stride` floats apart.
  struct Task {
    const AdapterPart* part;
    const AdapterRows* run;
    size_t offset, stride;
  };
  void plan(int layer, Product product);

  std::vector<AdapterRows> runs_;
  std::vector<Task> tasks_;
  kernels::AlignedFloats low_;
};

}  // namespace longshot::rollout::cpu
