#include "rollout/cpu/gemm.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "rollout/cpu/gemm.cc"
#include "rollout/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::rollout::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPanel>;
using V = hn::Vec<D>;
constexpr int kN = static_cast<int>(hn::MaxLanes(D()));
// A tile is two vectors wide: one panel, a part of it, or with 16 lanes two panels.
constexpr int kPanelsTogether = kN == kPanel ? 2 : 1;
// Accumulators must stay in registers: 24 of 32, or 12 of 16.
constexpr int kMaxRows = kN >= 16 ? 12 : 6;

struct TileArgs {
  const float* x;
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

template <int kRows, int kCols>
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
      const V xv = hn::Set(d, a.x[r * a.ldx + k]);
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
template <int kRows, int kCols>
void tile_fn(const TileArgs& a) {
  tile<kRows, kCols>(a);
}

template <int kCols>
TileFn tile_of(int rows) {
  static constexpr TileFn kTable[12] = {
      tile_fn<1, kCols>,
      tile_fn<2, kCols>,
      tile_fn<3, kCols>,
      tile_fn<4, kCols>,
      tile_fn<5, kCols>,
      tile_fn<6, kCols>,
      tile_fn<std::min(7, kMaxRows), kCols>,
      tile_fn<std::min(8, kMaxRows), kCols>,
      tile_fn<std::min(9, kMaxRows), kCols>,
      tile_fn<std::min(10, kMaxRows), kCols>,
      tile_fn<std::min(11, kMaxRows), kCols>,
      tile_fn<std::min(12, kMaxRows), kCols>,
  };
  return kTable[rows - 1];
}

// One block of k, `columns` full columns: a panel or two.
template <int kCols>
void whole_block(TileArgs a, int rows, int columns) {
  const float *x = a.x, *panel = a.panel, *bias = a.bias;
  float* y = a.y;
  const int tiles = (rows + kMaxRows - 1) / kMaxRows;
  const size_t ahead_bytes = static_cast<size_t>(a.depth) * kPanel * sizeof(float);
  const char* ahead = a.ahead;
  a.ahead_step = (kPanel * sizeof(float) + tiles - 1) / tiles;
  for (int t = 0; t < tiles; ++t) {  // tiles of nearly equal height: no short last one
    const int begin = rows * t / tiles, height = rows * (t + 1) / tiles - begin;
    const TileFn run = tile_of<kCols>(height);
    a.ahead = ahead + ahead_bytes * t / tiles;
    for (int c = 0; c < columns; c += kCols * kN) {
      a.x = x + begin * a.ldx;
      a.y = y + begin * a.ldy + c;
      a.panel = panel + c;
      a.bias = bias == nullptr ? nullptr : bias + c;
      run(a);
    }
  }
}

constexpr int kOnePanelCols = kN == kPanel ? 1 : 2;

// The last panel when n is not a multiple of 16: through a buffer, so that nothing beyond y's n is touched.
void part_block(const TileArgs& a, int rows, int columns) {
  alignas(64) float buffer[kMaxRows * kPanel];
  for (int begin = 0; begin < rows; begin += kMaxRows) {
    const int height = std::min(kMaxRows, rows - begin);
    TileArgs part = a;
    part.x = a.x + begin * a.ldx;
    part.y = buffer;
    part.ldy = kPanel;
    part.add = false;
    whole_block<kOnePanelCols>(part, height, kPanel);
    for (int r = 0; r < height; ++r) {
      float* y = a.y + (begin + r) * a.ldy;
      for (int c = 0; c < columns; ++c) {
        const float v = buffer[r * kPanel + c];
        y[c] = a.add ? y[c] + v : v;
      }
    }
  }
}

void gemm_target(const PackedMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                 int panel_begin, int panel_end, Store store) {
  const size_t panel_floats = static_cast<size_t>(w.k()) * kPanel;
  for (int p = panel_begin; p < panel_end;) {
    const int column = p * kPanel, columns = std::min(kPanel, w.n() - column);
    const bool pair = kPanelsTogether == 2 && p + 1 < panel_end && w.n() - column >= 2 * kPanel;
    for (int k = 0; k < w.k(); k += kDepth) {
      const int depth = std::min(kDepth, w.k() - k);
      const float* panel = w.panel(p) + static_cast<size_t>(k) * kPanel;
      // After the last block of a panel the next panel begins.
      const float* next = panel + static_cast<size_t>(depth) * kPanel +
                          (pair && k + depth == w.k() ? panel_floats : 0);
      const TileArgs a{.x = x + k,
                       .ldx = ldx,
                       .panel = panel,
                       .second = kPanelsTogether == 2 ? panel_floats : kN,
                       .depth = depth,
                       .bias = k == 0 ? w.bias() + column : nullptr,
                       .y = y + column,
                       .ldy = ldy,
                       .add = k > 0 || store == Store::add,
                       .ahead = reinterpret_cast<const char*>(next),
                       .ahead_step = 0,
                       .ahead_second = panel_floats * sizeof(float)};
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

}  // namespace longshot::rollout::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::rollout::cpu {

HWY_EXPORT(gemm_target);

void PackedMatrix::reset(int n, int k) {
  if (n == n_ && k == k_) return;
  n_ = n;
  k_ = k;
  data_ = AlignedFloats(static_cast<size_t>(round_up(n, kPanel)) * k);
  bias_ = AlignedFloats(static_cast<size_t>(round_up(n, kPanel)));
}

void PackedMatrix::set_rows(int column, int rows, const float* weight) {
  constexpr int kBlock = 64;  // of k: the 8 KiB that are written in strides stay in the first cache
  for (int begin = 0; begin < rows; begin += kPanel) {
    const int end = std::min(rows, begin + kPanel);
    for (int k0 = 0; k0 < k_; k0 += kBlock) {
      const int k1 = std::min(k_, k0 + kBlock);
      for (int r = begin; r < end; ++r) {
        const int c = column + r;
        float* out = data_.data() + static_cast<size_t>(c / kPanel) * k_ * kPanel + c % kPanel;
        const float* in = weight + static_cast<size_t>(r) * k_;
        for (int k = k0; k < k1; ++k) out[static_cast<size_t>(k) * kPanel] = in[k];
      }
    }
  }
}

void PackedMatrix::set_bias(int column, std::span<const float> bias) {
  std::copy(bias.begin(), bias.end(), bias_.begin() + column);
}

void gemm(const PackedMatrix& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
          int panel_begin, int panel_end, Store store) {
  HWY_DYNAMIC_DISPATCH(gemm_target)(w, x, ldx, rows, y, ldy, panel_begin, panel_end, store);
}

}  // namespace longshot::rollout::cpu
#endif  // HWY_ONCE
