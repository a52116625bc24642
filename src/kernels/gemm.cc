#include "kernels/gemm.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPanel>;
using V = hn::Vec<D>;
constexpr int kN = static_cast<int>(hn::MaxLanes(D()));
// A tile is two vectors wide: one panel, a part of it, or with 16 lanes two panels.
constexpr int kPanelsTogether = kN == kPanel ? 2 : 1;
// Accumulators must stay in registers: 24 of 32, or 12 of 16.
constexpr int kMaxRows = kN >= 16 ? 12 : 6;
constexpr int kAhead = 1024;  // values of bf16 weights that are fetched early

struct TileArgs {
  const float* x;       // [rows][ldx], or a strip [depth][rows]
  size_t ldx;
  const float* panel;   // [depth][16], already at the tile's first column
  size_t second;        // from the first vector's weights to the second's
  int depth;
  const float* bias;    // null: no bias
  float* y;
  size_t ldy;
  bool add;             // y += result
  const char* ahead;    // weights that will be needed next, fetched meanwhile
  size_t ahead_step;    // bytes for each k
  size_t ahead_second;  // the same distance as `second`, in bytes; 0: nothing to fetch there
};

template <int kRows, int kCols, bool kStrip>
HWY_INLINE void tile(const TileArgs& a) {
  const D d;
  V acc[kRows][kCols];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int c = 0; c < kCols; ++c) acc[r][c] = hn::Zero(d);
  }
  const float* HWY_RESTRICT w = a.panel;
  const char* ahead = a.ahead;
  for (int k = 0; k < a.depth; ++k, w += kPanel, ahead += a.ahead_step) {
    __builtin_prefetch(ahead, 0, 2);
    if (kCols * kN > kPanel) __builtin_prefetch(ahead + a.ahead_second, 0, 2);
    V column[kCols];
#pragma GCC unroll 2
    for (int c = 0; c < kCols; ++c) column[c] = hn::Load(d, w + c * a.second);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const V xv = hn::Set(d, kStrip ? a.x[k * kRows + r] : a.x[r * a.ldx + k]);
#pragma GCC unroll 2
      for (int c = 0; c < kCols; ++c) acc[r][c] = hn::MulAdd(xv, column[c], acc[r][c]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* y = a.y + r * a.ldy;
#pragma GCC unroll 2
    for (int c = 0; c < kCols; ++c) {
      V v = acc[r][c];
      if (a.bias != nullptr) v = hn::Add(v, hn::Load(d, a.bias + c * kN));
      if (a.add) v = hn::Add(hn::LoadU(d, y + c * kN), v);
      hn::StoreU(v, d, y + c * kN);
    }
  }
}

using TileFn = void (*)(const TileArgs&);
template <int kRows, int kCols, bool kStrip>
void tile_fn(const TileArgs& a) {
  tile<kRows, kCols, kStrip>(a);
}

template <int kCols, bool kStrip>
TileFn tile_of(int rows) {
  static constexpr TileFn kTable[12] = {
      tile_fn<1, kCols, kStrip>,
      tile_fn<2, kCols, kStrip>,
      tile_fn<3, kCols, kStrip>,
      tile_fn<4, kCols, kStrip>,
      tile_fn<5, kCols, kStrip>,
      tile_fn<6, kCols, kStrip>,
      tile_fn<std::min(7, kMaxRows), kCols, kStrip>,
      tile_fn<std::min(8, kMaxRows), kCols, kStrip>,
      tile_fn<std::min(9, kMaxRows), kCols, kStrip>,
      tile_fn<std::min(10, kMaxRows), kCols, kStrip>,
      tile_fn<std::min(11, kMaxRows), kCols, kStrip>,
      tile_fn<std::min(12, kMaxRows), kCols, kStrip>,
  };
  return kTable[rows - 1];
}

// Tiles of nearly equal height: no short last one.
struct RowTiles {
  explicit RowTiles(int rows_in) : rows(rows_in), count((rows_in + kMaxRows - 1) / kMaxRows) {}
  int begin(int t) const { return rows * t / count; }
  int rows, count;
};

// One block of k, `columns` full columns: a panel or two.
template <int kCols, bool kStrip = false>
void whole_block(TileArgs a, int rows, int columns) {
  const float *x = a.x, *panel = a.panel, *bias = a.bias;
  float* y = a.y;
  const RowTiles tiles(rows);
  const size_t ahead_bytes = static_cast<size_t>(a.depth) * kPanel * sizeof(float);
  const char* ahead = a.ahead;
  a.ahead_step = (kPanel * sizeof(float) + tiles.count - 1) / tiles.count;
  for (int t = 0; t < tiles.count; ++t) {
    const int begin = tiles.begin(t), height = tiles.begin(t + 1) - begin;
    const TileFn run = tile_of<kCols, kStrip>(height);
    a.ahead = ahead + ahead_bytes * t / tiles.count;
    for (int c = 0; c < columns; c += kCols * kN) {
      a.x = x + begin * (kStrip ? static_cast<size_t>(a.depth) : a.ldx);
      a.y = y + begin * a.ldy + c;
      a.panel = panel + c;
      a.bias = bias == nullptr ? nullptr : bias + c;
      run(a);
    }
  }
}

constexpr int kOnePanelCols = kN == kPanel ? 1 : 2;

// The last panel when n is not a multiple of 16: through a buffer, so that nothing beyond y's n is touched.
template <bool kStrip = false>
void part_block(const TileArgs& a, int rows, int columns) {
  alignas(64) float buffer[kMaxRows * kPanel];
  const RowTiles tiles(rows);
  for (int t = 0; t < tiles.count; ++t) {
    const int begin = tiles.begin(t), height = tiles.begin(t + 1) - begin;
    TileArgs part = a;
    part.x = a.x + begin * (kStrip ? static_cast<size_t>(a.depth) : a.ldx);
    part.y = buffer;
    part.ldy = kPanel;
    part.add = false;
    whole_block<kOnePanelCols, kStrip>(part, height, kPanel);
    for (int r = 0; r < height; ++r) {
      float* y = a.y + (begin + r) * a.ldy;
      for (int c = 0; c < columns; ++c) {
        const float v = buffer[r * kPanel + c];
        y[c] = a.add ? y[c] + v : v;
      }
    }
  }
}

// bf16 [count][16] -> f32 [count][16].
void unpack_bf16(const uint16_t* in, int count, float* out) {
  const D d;
  const hn::Rebind<hwy::bfloat16_t, D> half;
  for (int i = 0; i < count * kPanel; i += kN) {
    __builtin_prefetch(in + i + kAhead, 0, 3);
    hn::Store(hn::PromoteTo(d, hn::Load(half, reinterpret_cast<const hwy::bfloat16_t*>(in + i))),
              d, out + i);
  }
}

// Values [k, k + count) of an int4 panel -> f32 [count][16]; k is a multiple of 32.
void unpack_int4(const uint8_t* in, const uint16_t* scales, int count, float* out) {
  const D d;
  const hn::Rebind<int32_t, D> integers;
  const hn::Rebind<uint8_t, D> bytes;
  const hn::Rebind<hwy::bfloat16_t, D> half;
  for (int part = 0; part < kPanel; part += kN) {
    for (int k = 0; k < count; k += 2) {
      const auto scale = hn::PromoteTo(
          d, hn::Load(half, reinterpret_cast<const hwy::bfloat16_t*>(
                                scales + k / kInt4Group * kPanel + part)));
      const auto both = hn::PromoteTo(integers, hn::Load(bytes, in + k / 2 * kPanel + part));
      const auto low = hn::And(both, hn::Set(integers, 15)), high = hn::ShiftRight<4>(both);
      const auto eight = hn::Set(integers, 8);
      float* at = out + k * kPanel + part;
      hn::Store(hn::Mul(hn::ConvertTo(d, hn::Sub(low, eight)), scale), d, at);
      hn::Store(hn::Mul(hn::ConvertTo(d, hn::Sub(high, eight)), scale), d, at + kPanel);
    }
  }
}

// The f32 values [k, k + depth) of `count` panels: in place if the matrix is f32, else unpacked into `buffer`.
struct Block {
  const float* values;
  size_t second;      // floats from a panel to the next
  const char* ahead;  // see TileArgs
  size_t ahead_second;
};

Block block_of(const PackedMatrix& w, int p, int count, int k, int depth, float* buffer) {
  if (w.format() == NumberFormat::f32) {
    const float* panel = w.panel_as<float>(p) + static_cast<size_t>(k) * kPanel;
    const size_t floats = w.panel_bytes() / sizeof(float);
    // After the last block of a panel the next panel begins.
    const float* next = panel + static_cast<size_t>(depth) * kPanel +
                        (count == 2 && k + depth == w.k() ? floats : 0);
    return {panel, floats, reinterpret_cast<const char*>(next), floats * sizeof(float)};
  }
  const size_t block_floats = static_cast<size_t>(depth_of(w.format())) * kPanel;
  for (int i = 0; i < count; ++i) {
    float* out = buffer + i * block_floats;
    if (w.format() == NumberFormat::bf16) {
      unpack_bf16(w.panel_as<uint16_t>(p + i) + static_cast<size_t>(k) * kPanel, depth, out);
    } else {
      unpack_int4(w.panel_as<uint8_t>(p + i) + static_cast<size_t>(k) / 2 * kPanel,
                  w.group_scales(p + i) + static_cast<size_t>(k) / kInt4Group * kPanel, depth,
                  out);
    }
  }
  return {buffer, block_floats, nullptr, 0};
}

void gemm_target(const PackedMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                 int panel_begin, int panel_end, Store store) {
  // One row more for an odd depth of int4.
  thread_local AlignedFloats buffer;
  const int block_depth = depth_of(w.format());
  if (w.format() != NumberFormat::f32) buffer.resize((2 * block_depth + 1) * kPanel);
  for (int p = panel_begin; p < panel_end;) {
    const int column = p * kPanel, columns = std::min(kPanel, w.n() - column);
    const bool pair = kPanelsTogether == 2 && p + 1 < panel_end && w.n() - column >= 2 * kPanel;
    for (int k = 0; k < w.k(); k += block_depth) {
      const int depth = std::min(block_depth, w.k() - k);
      const Block block = block_of(w, p, pair ? 2 : 1, k, depth, buffer.data());
      const TileArgs a{.x = x + k,
                       .ldx = ldx,
                       .panel = block.values,
                       .second = kPanelsTogether == 2 ? block.second : kN,
                       .depth = depth,
                       .bias = k == 0 ? w.bias() + column : nullptr,
                       .y = y + column,
                       .ldy = ldy,
                       .add = k > 0 || store == Store::add,
                       .ahead = block.ahead,
                       .ahead_step = 0,
                       .ahead_second = block.ahead_second};
      if (pair) {
        whole_block<2>(a, rows, 2 * kPanel);
      } else if (columns == kPanel) {
        whole_block<kOnePanelCols>(a, rows, kPanel);
      } else {
        part_block(a, rows, columns);
      }
    }
    p += pair ? 2 : 1;
  }
}

// One block of k of the panels in w, into y.
template <bool kStrip>
void panels_block(const Panels& w, int k, int depth, TileArgs a, int rows) {
  float* y = a.y;
  for (int p = 0, column = 0; column < w.n;) {
    const int columns = std::min(kPanel, w.n - column);
    const bool pair = kPanelsTogether == 2 && w.n - column >= 2 * kPanel;
    a.panel = w.values + p * w.stride + static_cast<size_t>(k) * kPanel;
    a.second = kPanelsTogether == 2 ? w.stride : kN;
    a.ahead = reinterpret_cast<const char*>(a.panel + (pair ? 2 : 1) * w.stride);
    a.ahead_second = pair ? w.stride * sizeof(float) : 0;
    a.y = y + column;
    if (pair) {
      whole_block<2, kStrip>(a, rows, 2 * kPanel);
    } else if (columns == kPanel) {
      whole_block<kOnePanelCols, kStrip>(a, rows, kPanel);
    } else {
      part_block<kStrip>(a, rows, columns);
    }
    p += pair ? 2 : 1;
    column += pair ? 2 * kPanel : kPanel;
  }
}

void panels_target(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                   Store store) {
  for (int k = 0; k < w.k; k += kPanelsDepth) {
    const int depth = std::min(kPanelsDepth, w.k - k);
    const TileArgs a{.x = x + k, .ldx = ldx, .panel = nullptr, .second = 0, .depth = depth,
                     .bias = nullptr, .y = y, .ldy = ldy, .add = k > 0 || store == Store::add,
                     .ahead = nullptr, .ahead_step = 0, .ahead_second = 0};
    panels_block<false>(w, k, depth, a, rows);
  }
}

// x [depth][ldx] -> strips [tile][depth][height], in the order of the tiles.
void pack_strips(const float* x, size_t ldx, int rows, int depth, float* strips) {
  const RowTiles tiles(rows);
  for (int t = 0; t < tiles.count; ++t) {
    const int begin = tiles.begin(t), height = tiles.begin(t + 1) - begin;
    const float* from = x + begin;
    for (int k = 0; k < depth; ++k, from += ldx, strips += height) {
      for (int r = 0; r < height; ++r) strips[r] = from[r];
    }
  }
}

void transposed_target(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                       Store store) {
  thread_local AlignedFloats strips;
  strips.resize(std::max(strips.size(), static_cast<size_t>(rows) * std::min(kPanelsDepth, w.k)));
  for (int k = 0; k < w.k; k += kPanelsDepth) {
    const int depth = std::min(kPanelsDepth, w.k - k);
    pack_strips(x + k * ldx, ldx, rows, depth, strips.data());
    const TileArgs a{.x = strips.data(), .ldx = 0, .panel = nullptr, .second = 0, .depth = depth,
                     .bias = nullptr, .y = y, .ldy = ldy, .add = k > 0 || store == Store::add,
                     .ahead = nullptr, .ahead_step = 0, .ahead_second = 0};
    panels_block<true>(w, k, depth, a, rows);
  }
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(gemm_target);
HWY_EXPORT(panels_target);
HWY_EXPORT(transposed_target);

void gemm(const PackedMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
          int panel_begin, int panel_end, Store store) {
  HWY_DYNAMIC_DISPATCH(gemm_target)(w, x, ldx, rows, y, ldy, panel_begin, panel_end, store);
}

void multiply(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
              Store store) {
  HWY_DYNAMIC_DISPATCH(panels_target)(w, x, ldx, rows, y, ldy, store);
}

void multiply_transposed(const Panels& w, const float* x, size_t ldx, int rows, float* y,
                         size_t ldy, Store store) {
  HWY_DYNAMIC_DISPATCH(transposed_target)(w, x, ldx, rows, y, ldy, store);
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE
