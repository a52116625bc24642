#include "rollout/cpu/adapter_pass.h"

#include <algorithm>

#include "kernels/products/gemm.h"

namespace longshot::rollout::cpu {
namespace {

using kernels::kPanel;
using kernels::PanelMatrix;
using kernels::Store;

// Calls body(task, first, last) with ranges of the panels of matrix(task), over all tasks, on
// several threads if that is worth it.
template <typename Task, typename MatrixOf, typename Body>
void over_panels(std::span<const Task> tasks, const ThreadRanges& workers,
                 const MatrixOf& matrix_of, const Body& body) {
  int panels = 0;
  int64_t work = 0;
  for (const Task& task : tasks) {
    const PanelMatrix& w = matrix_of(task);
    panels += w.panels();
    work += int64_t{task.run->rows} * w.n() * w.k();
  }
  workers.ranges(panels, work, [&](int begin, int end) {
    int before = 0;  // panels of the tasks before
    for (const Task& task : tasks) {
      const int count = matrix_of(task).panels();
      const int first = std::max(begin - before, 0), last = std::min(end - before, count);
      if (first < last) body(task, first, last);
      before += count;
    }
  });
}

// Rows of y += `low` B^T, for panels [first, last) of B.
void add_panels(const AdapterPart& part, const float* low, size_t stride, int rows, float* y,
                size_t ldy, int first, int last) {
  y += part.column;
  if (part.step == 1) {
    kernels::gemm(part.b, low, stride, rows, y, ldy, first, last, Store::add);
    return;
  }
  for (int p = first; p < last; ++p) {  // gemm() writes panel p at column p * kPanel
    kernels::gemm(part.b, low, stride, rows, y + ptrdiff_t{p} * (part.step - 1) * kPanel, ldy, p,
                  p + 1, Store::add);
  }
}

}  // namespace

void AdapterPass::plan(int layer, Product product) {
  tasks_.clear();
  size_t floats = 0;
  for (const AdapterRows& run : runs_) {
    for (const AdapterPart& part : run.adapter->parts(layer, product)) {
      const auto stride = static_cast<size_t>(kernels::row_stride(part.a.n()));
      tasks_.push_back({&part, &run, floats, stride});
      floats += static_cast<size_t>(run.rows) * stride;
    }
  }
  if (low_.size() < floats) low_.resize(floats);
}

void AdapterPass::add(int layer, Product product, kernels::ConstRows x, kernels::Rows y,
                      const ThreadRanges& workers) {
  plan(layer, product);
  if (tasks_.empty()) return;
  const std::span<const Task> tasks = tasks_;
  over_panels(
      tasks, workers, [](const Task& task) -> const PanelMatrix& { return task.part->a; },
      [&](const Task& task, int first, int last) {
        kernels::gemm(task.part->a, x.row(task.run->first), x.stride, task.run->rows,
                      low_.data() + task.offset, task.stride, first, last, Store::set);
      });
  over_panels(
      tasks, workers, [](const Task& task) -> const PanelMatrix& { return task.part->b; },
      [&](const Task& task, int first, int last) {
        add_panels(*task.part, low_.data() + task.offset, task.stride, task.run->rows,
                   y.row(task.run->first), y.stride, first, last);
      });
}

}  // namespace longshot::rollout::cpu
