#include "kernels/products/panel_pack.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/products/panels_bf16.h"

namespace longshot::kernels {

void PanelBuffer::reset(int n, int k, NumberFormat format) {
  LS_CHECK(format == NumberFormat::f32 || format == NumberFormat::bf16, "no panels of that format");
  n_ = n;
  k_ = k;
  format_ = format;
  stride_ = static_cast<size_t>(format == NumberFormat::bf16 ? (k + 1) / 2 : k) * kPanel;
  if (data_.size() < count() * stride_) data_ = AlignedFloats(count() * stride_);
}

void PanelBuffer::pack_rows(int panel, const float* matrix, size_t ld) {
  pack_panel(panel, matrix + static_cast<size_t>(panel) * kPanel * ld, ld);
}

void PanelBuffer::pack_panel(int panel, const float* first_row, size_t ld) {
  const int rows = std::min(kPanel, n_ - panel * kPanel);
  float* out = at(panel);
  if (format_ == NumberFormat::bf16) return pack_rows_bf16(first_row, ld, rows, k_, out);
  if (rows == kPanel) return transpose_rows(first_row, ld, rows, k_, out);
  std::fill_n(out, stride_, 0.0f);
  for (int r = 0; r < rows; ++r) {
    const float* in = first_row + r * ld;
    for (int k = 0; k < k_; ++k) out[static_cast<size_t>(k) * kPanel + r] = in[k];
  }
}

void PanelBuffer::pack_columns(int panel, const float* rows, size_t ld, int begin, int count) {
  const int first = panel * kPanel, columns = std::min(kPanel, n_ - first);
  const float* in = rows + first;
  if (format_ == NumberFormat::bf16) {
    LS_CHECK(begin % 2 == 0, "two rows of bf16 are stored next to each other");
    return pack_columns_bf16(in, ld, count, columns, at(panel) + begin / 2 * kPanel);
  }
  float* out = at(panel) + static_cast<size_t>(begin) * kPanel;
  for (int k = 0; k < count; ++k, in += ld, out += kPanel) {
    if (columns == kPanel) {
      std::memcpy(out, in, kPanel * sizeof(float));
    } else {
      std::copy_n(in, columns, out);
      std::fill_n(out + columns, kPanel - columns, 0.0f);
    }
  }
}

}  // namespace longshot::kernels
