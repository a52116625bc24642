#include "kernels/panel_pack.h"

#include <algorithm>
#include <cstring>

namespace longshot::kernels {

void PanelBuffer::reset(int n, int k) {
  n_ = n;
  k_ = k;
  stride_ = static_cast<size_t>(k) * kPanel;
  if (data_.size() < count() * stride_) data_ = AlignedFloats(count() * stride_);
}

void PanelBuffer::pack_rows(int panel, const float* matrix, size_t ld) {
  const int first = panel * kPanel, rows = std::min(kPanel, n_ - first);
  float* out = at(panel);
  if (rows == kPanel) return transpose_rows(matrix + first * ld, ld, rows, k_, out);
  std::fill_n(out, stride_, 0.0f);
  for (int r = 0; r < rows; ++r) {
    const float* in = matrix + (first + r) * ld;
    for (int k = 0; k < k_; ++k) out[static_cast<size_t>(k) * kPanel + r] = in[k];
  }
}

void PanelBuffer::pack_columns(int panel, const float* matrix, size_t ld) {
  const int first = panel * kPanel, columns = std::min(kPanel, n_ - first);
  float* out = at(panel);
  const float* in = matrix + first;
  for (int k = 0; k < k_; ++k, in += ld, out += kPanel) {
    if (columns == kPanel) {
      std::memcpy(out, in, kPanel * sizeof(float));
    } else {
      std::copy_n(in, columns, out);
      std::fill_n(out + columns, kPanel - columns, 0.0f);
    }
  }
}

}  // namespace longshot::kernels
