#pragma once
// A weight matrix in column panels, in one of the number formats, as the GEMM kernels read it.
//
// f32   [panel][k][16]
// bf16  [panel][k / 2][16][2], the upper half of the f32, rounded to nearest even
// int4  [panel][k / 2][16] bytes: even k in the low four bits; value = (bits - 8) * scale, with
//       bf16 scales [panel][k / 32][16]
// int8  [panel][k / 4][16][4] bytes: value = (byte - 128) * scale of the column
//
// Panels are 16 columns of y (rows of W), the last one padded with zeros.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/number_format.h"
#include "kernels/aligned.h"

namespace longshot::kernels {

inline constexpr int kPanel = 16;
inline constexpr int kInt4Group = 32;  // values of k that share a scale
// Limit of k for int8: products of a byte and a signed byte are summed in 32 bits.
inline constexpr int kMaxInt8Depth = 65536;

class PanelMatrix {
 public:
  // Sets size and format. Keeps the memory and the old values if nothing changed; otherwise all
  // values become 0.
  void reset(int n, int k, NumberFormat format = NumberFormat::f32);

  // Converts `rows` x k values of a Hugging Face weight into the columns [column, column + rows).
  // Thread-safe for disjoint columns.
  void set_rows(int column, int rows, const float* weight);
  void set_bias(int column, std::span<const float> bias);

  int n() const { return n_; }
  int k() const { return k_; }
  NumberFormat format() const { return format_; }
  int panels() const { return (n_ + kPanel - 1) / kPanel; }
  size_t panel_bytes() const { return panel_bytes_; }
  size_t bytes() const { return data_.size() + group_scales_.size() * sizeof(uint16_t); }
  const std::byte* panel(int p) const { return data_.data() + p * panel_bytes_; }
  template <typename T>
  const T* panel_as(int p) const {
    return reinterpret_cast<const T*>(panel(p));
  }
  const uint16_t* group_scales(int p) const {  // int4: [k / 32][16], bf16
    return group_scales_.data() + static_cast<size_t>(p) * groups() * kPanel;
  }
  int groups() const { return (k_ + kInt4Group - 1) / kInt4Group; }
  const float* column_scales() const { return column_scales_.data(); }  // int8: [panels * 16]
  const float* bias() const { return bias_.data(); }  // [panels * 16], zeros where there is none

  // The value that represents W[column, k]. For tests.
  float value(int column, int k) const;

 private:
  template <typename T>
  T* panel_to_write(int p) {
    return reinterpret_cast<T*>(data_.data() + p * panel_bytes_);
  }
  void set_f32(int column, int rows, const float* weight);
  void set_bf16(int column, const float* row);
  void set_int8(int column, const float* row);
  void set_int4(int column, const float* row);

  int n_ = 0, k_ = 0;
  NumberFormat format_ = NumberFormat::f32;
  size_t panel_bytes_ = 0;
  AlignedBytes data_;
  std::vector<uint16_t> group_scales_;
  AlignedFloats column_scales_, bias_;
};

inline uint16_t to_bf16(float value) {  // to nearest, ties to even; NaN stays NaN
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

inline float from_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

}  // namespace longshot::kernels
