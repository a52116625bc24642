#include "kernels/products/panel_matrix.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace longshot::kernels {
namespace {

size_t bytes_of_panel(NumberFormat format, int k) {
  switch (format) {
    case NumberFormat::f32:
      return static_cast<size_t>(k) * kPanel * sizeof(float);
    case NumberFormat::bf16:
      return static_cast<size_t>(round_up(k, 2)) * kPanel * sizeof(uint16_t);
    case NumberFormat::int8:
      return static_cast<size_t>(round_up(k, 4)) * kPanel;
    case NumberFormat::int4:
      return static_cast<size_t>(round_up(k, 8)) / 2 * kPanel;
  }
  return 0;
}

constexpr std::byte kInt8Zero{128}, kInt4Zeros{0x88};

float largest_magnitude(const float* values, int n) {
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = std::max(largest, std::abs(values[i]));
  return largest;
}

}  // namespace

void PanelMatrix::reset(int n, int k, NumberFormat format) {
  if (n == n_ && k == k_ && format == format_) return;
  LS_CHECK(format != NumberFormat::int8 || k < kMaxInt8Depth, "int8 sums would overflow");
  n_ = n;
  k_ = k;
  format_ = format;
  panel_bytes_ = bytes_of_panel(format, k);
  const std::byte zero = format == NumberFormat::int8   ? kInt8Zero
                         : format == NumberFormat::int4 ? kInt4Zeros
                                                        : std::byte{0};
  const size_t columns = static_cast<size_t>(panels()) * kPanel;
  data_ = AlignedBytes(panels() * panel_bytes_, zero);
  bias_ = AlignedFloats(columns);
  column_scales_ = AlignedFloats(format == NumberFormat::int8 ? columns : 0);
  group_scales_.assign(format == NumberFormat::int4 ? columns * groups() : 0, 0);
}

void PanelMatrix::set_rows(int column, int rows, const float* weight) {
  if (format_ == NumberFormat::f32) return set_f32(column, rows, weight);
  for (int r = 0; r < rows; ++r) {
    const float* row = weight + static_cast<size_t>(r) * k_;
    if (format_ == NumberFormat::bf16) set_bf16(column + r, row);
    if (format_ == NumberFormat::int8) set_int8(column + r, row);
    if (format_ == NumberFormat::int4) set_int4(column + r, row);
  }
}

void PanelMatrix::set_f32(int column, int rows, const float* weight) {
  constexpr int kBlock = 64;  // of k: the 4 KiB written in strides stay in the first-level cache
  for (int begin = 0; begin < rows; begin += kPanel) {
    const int end = std::min(rows, begin + kPanel);
    for (int k0 = 0; k0 < k_; k0 += kBlock) {
      const int k1 = std::min(k_, k0 + kBlock);
      for (int r = begin; r < end; ++r) {
        const int c = column + r;
        float* out = panel_to_write<float>(c / kPanel) + c % kPanel;
        const float* in = weight + static_cast<size_t>(r) * k_;
        for (int k = k0; k < k1; ++k) out[static_cast<size_t>(k) * kPanel] = in[k];
      }
    }
  }
}

void PanelMatrix::set_bf16(int column, const float* row) {
  uint16_t* out = panel_to_write<uint16_t>(column / kPanel) + column % kPanel * 2;
  for (int k = 0; k < k_; ++k)
    out[static_cast<size_t>(k / 2) * kPanel * 2 + k % 2] = to_bf16(row[k]);
}

void PanelMatrix::set_int8(int column, const float* row) {
  const float largest = largest_magnitude(row, k_);
  const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  column_scales_[column] = largest / 127.0f;
  uint8_t* out = panel_to_write<uint8_t>(column / kPanel) + column % kPanel * 4;
  for (int k = 0; k < k_; ++k) {
    const int q = static_cast<int>(std::nearbyint(row[k] * inverse));
    out[static_cast<size_t>(k / 4) * kPanel * 4 + k % 4] =
        static_cast<uint8_t>(std::clamp(q, -127, 127) + 128);
  }
}

// The value of largest magnitude maps to -8, so that all sixteen steps are used.
void PanelMatrix::set_int4(int column, const float* row) {
  const int p = column / kPanel, c = column % kPanel;
  uint8_t* out = panel_to_write<uint8_t>(p) + c;
  uint16_t* scales = group_scales_.data() + static_cast<size_t>(p) * groups() * kPanel + c;
  for (int begin = 0; begin < k_; begin += kInt4Group) {
    const int end = std::min(k_, begin + kInt4Group);
    const float* top = std::max_element(row + begin, row + end,
                                        [](float a, float b) { return std::abs(a) < std::abs(b); });
    const uint16_t scale = to_bf16(*top / -8.0f);
    const float step = from_bf16(scale);
    scales[static_cast<size_t>(begin / kInt4Group) * kPanel] = scale;
    for (int k = begin; k < end; ++k) {
      const int q = step == 0 ? 0 : static_cast<int>(std::nearbyint(row[k] / step));
      const auto bits = static_cast<uint8_t>(std::clamp(q, -8, 7) + 8);
      uint8_t& both = out[static_cast<size_t>(k / 2) * kPanel];
      both = static_cast<uint8_t>(k % 2 == 0 ? (both & 0xF0) | bits : (both & 0x0F) | bits << 4);
    }
  }
}

void PanelMatrix::set_bias(int column, std::span<const float> bias) {
  std::copy(bias.begin(), bias.end(), bias_.begin() + column);
}

float PanelMatrix::value(int column, int k) const {
  const int p = column / kPanel, c = column % kPanel;
  switch (format_) {
    case NumberFormat::f32:
      return panel_as<float>(p)[static_cast<size_t>(k) * kPanel + c];
    case NumberFormat::bf16:
      return from_bf16(panel_as<uint16_t>(p)[(k / 2 * kPanel + c) * 2 + k % 2]);
    case NumberFormat::int8: {
      const uint8_t byte = panel_as<uint8_t>(p)[(k / 4 * kPanel + c) * 4 + k % 4];
      return static_cast<float>(byte - 128) * column_scales_[column];
    }
    case NumberFormat::int4: {
      const uint8_t both = panel_as<uint8_t>(p)[k / 2 * kPanel + c];
      const int bits = k % 2 == 0 ? both & 15 : both >> 4;
      return static_cast<float>(bits - 8) * from_bf16(group_scales(p)[k / kInt4Group * kPanel + c]);
    }
  }
  return 0;
}

}  // namespace longshot::kernels
