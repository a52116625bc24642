// The register tile of a product and the loops around it, for one block of k. Included once for
// each target, after hwy/highway.h.

#if defined(LONGSHOT_KERNELS_GEMM_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LONGSHOT_KERNELS_GEMM_TILE_INL_H_
#undef LONGSHOT_KERNELS_GEMM_TILE_INL_H_
#else
#define LONGSHOT_KERNELS_GEMM_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "kernels/products/gemm.h"

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
constexpr int kUnroll = 4;  // steps of k unrolled if x is a strip

struct TileArgs {
  const float* x;  // [rows][ldx], or a strip [depth][rows]
  size_t ldx;
  const float* panel;  // [depth][16], already at the tile's first column
  size_t second;       // floats from the first vector's weights to the second's
  int depth;
  const float* bias;  // null: no bias
  float* y;
  size_t ldy;
  bool add;             // y += result
  const char* ahead;    // weights that will be needed next, fetched meanwhile
  size_t ahead_step;    // bytes for each k
  size_t ahead_second;  // the same distance as `second`, in bytes; 0: nothing to fetch there
};

template <int kRows, int kCols>
using Accumulators = V[kRows][kCols];

// Adds the products of one k. In strips the x[r] are at fixed distances, so that the unrolled loop
// over k contains only loads and multiply-adds. That matters where another thread shares the core.
template <int kRows, int kCols, bool kStrip>
HWY_INLINE void tile_step(const TileArgs& a, const float* x, const float* w, const char*& ahead,
                          Accumulators<kRows, kCols>& acc) {
  const D d;
  __builtin_prefetch(ahead, 0, 2);
  if (kCols * kN > kPanel) __builtin_prefetch(ahead + a.ahead_second, 0, 2);
  ahead += a.ahead_step;
  V column[kCols];
#pragma GCC unroll 2
  for (int c = 0; c < kCols; ++c) column[c] = hn::Load(d, w + c * a.second);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const V xv = hn::Set(d, kStrip ? x[r] : x[r * a.ldx]);
#pragma GCC unroll 2
    for (int c = 0; c < kCols; ++c) acc[r][c] = hn::MulAdd(xv, column[c], acc[r][c]);
  }
}

template <int kRows, int kCols, bool kStrip>
HWY_INLINE void tile(const TileArgs& a) {
  const D d;
  Accumulators<kRows, kCols> acc;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int c = 0; c < kCols; ++c) acc[r][c] = hn::Zero(d);
  }
  constexpr int kNext = kStrip ? kRows : 1;  // from x of one k to the next
  const float *HWY_RESTRICT w = a.panel, *x = a.x;
  const char* ahead = a.ahead;
  int k = 0;
  if (kStrip) {
    for (; k + kUnroll <= a.depth; k += kUnroll, w += kUnroll * kPanel, x += kUnroll * kNext) {
#pragma GCC unroll 4
      for (int i = 0; i < kUnroll; ++i)
        tile_step<kRows, kCols, kStrip>(a, x + i * kNext, w + i * kPanel, ahead, acc);
    }
  }
  for (; k < a.depth; ++k, w += kPanel, x += kNext)
    tile_step<kRows, kCols, kStrip>(a, x, w, ahead, acc);
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

// Multiplies one block of k into `columns` full columns: one or two panels.
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

// Computes the last panel if n is not a multiple of 16: through a buffer, so that nothing beyond
// column n of y is touched.
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

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
