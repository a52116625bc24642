#include "kernels/products/panels_bf16.h"

#include <algorithm>
#include <bit>

#if defined(__x86_64__) && defined(__GNUC__)
// GCC mistakes the undefined vectors inside its own intrinsics for errors.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#define LONGSHOT_BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define LONGSHOT_BF16_INLINE __attribute__((always_inline)) LONGSHOT_BF16_TARGET inline
#endif

namespace longshot::kernels {
namespace {

constexpr int kColumns = 3;  // panels of a tile: with 8 rows its 24 sums stay in registers

struct Tile {
  const float* panel;  // the first of the tile's panels
  size_t stride;       // from one to the next
  int columns;         // of y in the last of them, at most 16
  const float* x;      // pairs of a panel of x, from the tile's first row on
  int rows;            // of y, at most kTileRowsBf16
  int pairs;
  float* y;
  size_t ldy;
  bool add;
};

// The operations that differ between processors.
struct Primitives {
  void (*pack_rows)(const float* rows, size_t ld, int count, int k, float* panel);
  void (*pack_columns)(const float* rows, size_t ld, int k, int columns, float* panel);
  void (*tiles[kColumns])(const Tile&);  // by number of panels
};

namespace plain {

float pair_of(float low, float high) {
  return std::bit_cast<float>(static_cast<uint32_t>(to_bf16(high)) << 16 | to_bf16(low));
}

void pack_rows(const float* rows, size_t ld, int count, int k, float* panel) {
  for (int i = 0; i < k; i += 2, panel += kPanel) {
    std::fill_n(panel, kPanel, 0.0f);
    for (int r = 0; r < count; ++r)
      panel[r] = pair_of(rows[r * ld + i], i + 1 < k ? rows[r * ld + i + 1] : 0.0f);
  }
}

void pack_columns(const float* rows, size_t ld, int k, int columns, float* panel) {
  for (int i = 0; i < k; i += 2, panel += kPanel, rows += 2 * ld) {
    std::fill_n(panel, kPanel, 0.0f);
    for (int c = 0; c < columns; ++c) panel[c] = pair_of(rows[c], i + 1 < k ? rows[ld + c] : 0.0f);
  }
}

float low_of(float pair) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(pair) << 16);
}
float high_of(float pair) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(pair) & 0xFFFF0000u);
}

template <int kCount>
void tile(const Tile& t) {
  for (int p = 0; p < kCount; ++p) {
    float sums[kTileRowsBf16][kPanel] = {};
    const float *w = t.panel + p * t.stride, *x = t.x;
    for (int i = 0; i < t.pairs; ++i, w += kPanel, x += kPanel) {
      for (int r = 0; r < kTileRowsBf16; ++r) {
        const float low = low_of(x[r]), high = high_of(x[r]);
        for (int c = 0; c < kPanel; ++c) sums[r][c] += high * high_of(w[c]);
        for (int c = 0; c < kPanel; ++c) sums[r][c] += low * low_of(w[c]);
      }
    }
    const int columns = p + 1 < kCount ? kPanel : t.columns;
    for (int r = 0; r < t.rows; ++r) {
      float* y = t.y + r * t.ldy + p * kPanel;
      for (int c = 0; c < columns; ++c) y[c] = t.add ? y[c] + sums[r][c] : sums[r][c];
    }
  }
}

constexpr Primitives kPrimitives{pack_rows, pack_columns, {tile<1>, tile<2>, tile<3>}};

}  // namespace plain

#ifdef LONGSHOT_BF16_TARGET

namespace native {

constexpr int kAhead = 4 * kPanel;  // how far ahead a row to be packed is fetched, in values

LONGSHOT_BF16_INLINE __mmask16 first_lanes(int count) {
  return static_cast<__mmask16>((1u << std::clamp(count, 0, kPanel)) - 1);
}

// Transposes 16 vectors of 16 words: word i of each goes to vector i.
LONGSHOT_BF16_INLINE void transpose(__m512i (&v)[kPanel]) {
  __m512i by_four[kPanel];  // [four rows][column of each group of four]
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    const __m512i low01 = _mm512_unpacklo_epi32(v[4 * g], v[4 * g + 1]),
                  high01 = _mm512_unpackhi_epi32(v[4 * g], v[4 * g + 1]),
                  low23 = _mm512_unpacklo_epi32(v[4 * g + 2], v[4 * g + 3]),
                  high23 = _mm512_unpackhi_epi32(v[4 * g + 2], v[4 * g + 3]);
    by_four[4 * g] = _mm512_unpacklo_epi64(low01, low23);
    by_four[4 * g + 1] = _mm512_unpackhi_epi64(low01, low23);
    by_four[4 * g + 2] = _mm512_unpacklo_epi64(high01, high23);
    by_four[4 * g + 3] = _mm512_unpackhi_epi64(high01, high23);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i even0 = _mm512_shuffle_i32x4(by_four[j], by_four[4 + j], 0x88),
                  odd0 = _mm512_shuffle_i32x4(by_four[j], by_four[4 + j], 0xdd),
                  even1 = _mm512_shuffle_i32x4(by_four[8 + j], by_four[12 + j], 0x88),
                  odd1 = _mm512_shuffle_i32x4(by_four[8 + j], by_four[12 + j], 0xdd);
    v[j] = _mm512_shuffle_i32x4(even0, even1, 0x88);
    v[4 + j] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
    v[8 + j] = _mm512_shuffle_i32x4(even0, even1, 0xdd);
    v[12 + j] = _mm512_shuffle_i32x4(odd0, odd1, 0xdd);
  }
}

LONGSHOT_BF16_TARGET void pack_rows(const float* rows, size_t ld, int count, int k, float* panel) {
  for (int begin = 0; begin < k; begin += 2 * kPanel, panel += kPanel * kPanel) {
    const __mmask16 first = first_lanes(k - begin), second = first_lanes(k - begin - kPanel);
    __m512i v[kPanel];
#pragma GCC unroll 16
    for (int r = 0; r < kPanel; ++r) {
      const float* in = rows + std::min(r, count - 1) * ld + begin;
      const __mmask16 present = r < count ? 0xFFFF : 0;
      __builtin_prefetch(in + kAhead);
      v[r] = reinterpret_cast<__m512i>(
          _mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(second & present, in + kPanel),
                              _mm512_maskz_loadu_ps(first & present, in)));
    }
    transpose(v);
    const int pairs = std::min(kPanel, (k - begin + 1) / 2);
    for (int i = 0; i < pairs; ++i) _mm512_store_si512(panel + i * kPanel, v[i]);
  }
}

LONGSHOT_BF16_TARGET void pack_columns(const float* rows, size_t ld, int k, int columns,
                                       float* panel) {
  const __mmask16 lanes = first_lanes(columns);
  alignas(64) uint16_t beside[2 * kPanel];  // interleaves the words of [2][16]
  for (int c = 0; c < kPanel; ++c) {
    beside[2 * c] = static_cast<uint16_t>(c);
    beside[2 * c + 1] = static_cast<uint16_t>(kPanel + c);
  }
  const __m512i order = _mm512_load_si512(beside);
  for (int i = 0; i < k; i += 2, rows += 2 * ld, panel += kPanel) {
    const __m512 low = _mm512_maskz_loadu_ps(lanes, rows),
                 high = i + 1 < k ? _mm512_maskz_loadu_ps(lanes, rows + ld) : _mm512_setzero_ps();
    const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    _mm512_store_si512(panel, _mm512_permutexvar_epi16(order, both));
  }
}

template <int kCount>
LONGSHOT_BF16_TARGET void tile(const Tile& t) {
  __m512 sums[kTileRowsBf16][kCount];
#pragma GCC unroll 8
  for (int r = 0; r < kTileRowsBf16; ++r) {
#pragma GCC unroll 3
    for (int p = 0; p < kCount; ++p) sums[r][p] = _mm512_setzero_ps();
  }
  const float *w = t.panel, *x = t.x;
  for (int i = 0; i < t.pairs; ++i, w += kPanel, x += kPanel) {
    __m512bh column[kCount];
#pragma GCC unroll 3
    for (int p = 0; p < kCount; ++p)
      column[p] = reinterpret_cast<__m512bh>(_mm512_load_ps(w + p * t.stride));
#pragma GCC unroll 8
    for (int r = 0; r < kTileRowsBf16; ++r) {
      const auto pair = reinterpret_cast<__m512bh>(_mm512_set1_ps(x[r]));
#pragma GCC unroll 3
      for (int p = 0; p < kCount; ++p) sums[r][p] = _mm512_dpbf16_ps(sums[r][p], column[p], pair);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kTileRowsBf16; ++r) {
    if (r >= t.rows) break;
    float* y = t.y + r * t.ldy;
#pragma GCC unroll 3
    for (int p = 0; p < kCount; ++p, y += kPanel) {
      const __mmask16 lanes = p + 1 < kCount ? 0xFFFF : first_lanes(t.columns);
      const __m512 before = _mm512_maskz_loadu_ps(t.add ? lanes : 0, y);
      _mm512_mask_storeu_ps(y, lanes, t.add ? _mm512_add_ps(before, sums[r][p]) : sums[r][p]);
    }
  }
}

constexpr Primitives kPrimitives{pack_rows, pack_columns, {tile<1>, tile<2>, tile<3>}};

}  // namespace native

const Primitives& primitives() {
  return has_bf16_products() ? native::kPrimitives : plain::kPrimitives;
}

#else

const Primitives& primitives() {
  return plain::kPrimitives;
}

#endif

// Multiplies one block of k; x is in panels of 16 rows: [panel][pairs][16].
void multiply_packed(const Primitives& use, const Panels& w, const float* x, int k, int depth,
                     int rows, float* y, size_t ldy, bool add) {
  const int panels = (w.n + kPanel - 1) / kPanel, pairs = (depth + 1) / 2;
  for (int p = 0; p < panels; p += kColumns) {
    const int count = std::min(kColumns, panels - p), last = p + count - 1;
    for (int row = 0; row < rows; row += kTileRowsBf16) {
      use.tiles[count - 1](
          {.panel = w.values + p * w.stride + static_cast<size_t>(k) / 2 * kPanel,
           .stride = w.stride,
           .columns = std::min(kPanel, w.n - last * kPanel),
           .x = x + row / kPanel * static_cast<size_t>(pairs) * kPanel + row % kPanel,
           .rows = std::min(kTileRowsBf16, rows - row),
           .pairs = pairs,
           .y = y + row * ldy + p * kPanel,
           .ldy = ldy,
           .add = add});
    }
  }
}

// Multiplies one block of k after the other. pack(first, count, k, depth, panel) packs rows [first,
// first + count) of x into a panel.
template <typename Pack>
void multiply_blocks(const Primitives& use, const Panels& w, int rows, float* y, size_t ldy,
                     Store store, const Pack& pack) {
  thread_local AlignedFloats buffer;
  const int max_pairs = (std::min(kDepthBf16, w.k) + 1) / 2;
  const size_t size = static_cast<size_t>(round_up(rows, kPanel)) * max_pairs;
  if (buffer.size() < size) buffer = AlignedFloats(size);
  for (int k = 0; k < w.k; k += kDepthBf16) {
    const int depth = std::min(kDepthBf16, w.k - k), pairs = (depth + 1) / 2;
    for (int first = 0; first < rows; first += kPanel)
      pack(first, std::min(kPanel, rows - first), k, depth,
           buffer.data() + static_cast<size_t>(first) * pairs);
    multiply_packed(use, w, buffer.data(), k, depth, rows, y, ldy, k > 0 || store == Store::add);
  }
}

}  // namespace

void pack_rows_bf16(const float* rows, size_t ld, int count, int k, float* panel) {
  primitives().pack_rows(rows, ld, count, k, panel);
}

void pack_columns_bf16(const float* rows, size_t ld, int k, int columns, float* panel) {
  primitives().pack_columns(rows, ld, k, columns, panel);
}

void multiply_bf16(const Panels& w, const float* x, size_t ldx, int rows, float* y, size_t ldy,
                   Store store) {
  const Primitives& use = primitives();
  const auto pack = [&](int first, int count, int k, int depth, float* panel) {
    use.pack_rows(x + first * ldx + k, ldx, count, depth, panel);
  };
  multiply_blocks(use, w, rows, y, ldy, store, pack);
}

void multiply_transposed_bf16(const Panels& w, const float* x, size_t ldx, int rows, float* y,
                              size_t ldy, Store store) {
  const Primitives& use = primitives();
  const auto pack = [&](int first, int count, int k, int depth, float* panel) {
    use.pack_columns(x + k * ldx + first, ldx, depth, count, panel);
  };
  multiply_blocks(use, w, rows, y, ldy, store, pack);
}

}  // namespace longshot::kernels
