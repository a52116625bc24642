#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "kernels/products/gemm.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define LONGSHOT_BF16 1
#define LONGSHOT_BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#else
#define LONGSHOT_BF16 0
#endif

namespace longshot::kernels {

// Every processor with bf16 products has VNNI; checking both lets tests choose another target.
bool has_bf16_products() {
#if LONGSHOT_BF16
  static const bool supported = __builtin_cpu_supports("avx512bf16");
  return supported && has_byte_products();
#else
  return false;
#endif
}

void Bf16Rows::reset(int rows, int k) {
  k_ = k;
  stride_ = static_cast<size_t>(round_up(k, 32));
  if (values_.size() < rows * stride_) values_.assign(rows * stride_, 0);
}

#if LONGSHOT_BF16

namespace {

constexpr int kMaxRows = 12, kPanelsTogether = 2;

struct Tile {
  const uint16_t* panel;  // [k / 2][16][2]
  size_t second;          // values from one panel to the next; 0: only one panel
  std::array<const uint16_t*, kMaxRows> x;
  int pairs;              // k / 2, rounded up
  const uint16_t* ahead;  // weights that will be needed next, fetched meanwhile
  int ahead_step;         // values for each pair
};

__attribute__((always_inline)) LONGSHOT_BF16_TARGET inline __m512bh pairs_at(
    const uint16_t* values) {
  return reinterpret_cast<__m512bh>(_mm512_loadu_si512(values));
}

template <int kRows>
LONGSHOT_BF16_TARGET void tile(const Tile& t, float* sums) {
  __m512 acc[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
  const uint16_t *w = t.panel, *ahead = t.ahead;
  for (int i = 0; i < t.pairs; ++i, w += 2 * kPanel, ahead += t.ahead_step) {
    const __m512bh w0 = pairs_at(w), w1 = pairs_at(w + t.second);
    __builtin_prefetch(ahead, 0, 2);
    __builtin_prefetch(ahead + t.second, 0, 2);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      int32_t two;
      __builtin_memcpy(&two, t.x[r] + 2 * i, 4);
      const auto xv = reinterpret_cast<__m512bh>(_mm512_set1_epi32(two));
      acc[r][0] = _mm512_dpbf16_ps(acc[r][0], w0, xv);
      acc[r][1] = _mm512_dpbf16_ps(acc[r][1], w1, xv);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(sums + r * 2 * kPanel, acc[r][0]);
    _mm512_storeu_ps(sums + r * 2 * kPanel + kPanel, acc[r][1]);
  }
}

using TileFn = void (*)(const Tile&, float*);

template <int... kRows>
constexpr std::array<TileFn, sizeof...(kRows)> tiles_of(std::integer_sequence<int, kRows...>) {
  return {tile<kRows + 1>...};
}
constexpr auto kTiles = tiles_of(std::make_integer_sequence<int, kMaxRows>());

void finish(const PanelMatrix& w, const float* sums, int column, float* y, Store store) {
  const int columns = std::min(kPanel, w.n() - column);
  const float* bias = w.bias() + column;
  for (int c = 0; c < columns; ++c) {
    const float value = sums[c] + bias[c];
    y[column + c] = store == Store::add ? y[column + c] + value : value;
  }
}

}  // namespace

LONGSHOT_BF16_TARGET void Bf16Rows::set_row(int row, const float* x) {
  uint16_t* out = values_.data() + static_cast<size_t>(row) * stride_;
  int i = 0;
  for (; i + kPanel <= k_; i += kPanel) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i))));
  }
  for (; i < k_; ++i) out[i] = to_bf16(x[i]);
  std::fill(out + k_, out + stride_, uint16_t{0});
}

void gemm_bf16(const PanelMatrix& w, const Bf16Rows& x, int rows, float* y, size_t ldy,
               int panel_begin, int panel_end, Store store) {
  LS_CHECK(w.format() == NumberFormat::bf16, "a product of bf16 needs weights in bf16");
  alignas(64) float sums[kMaxRows * 2 * kPanel];
  const int tiles = (rows + kMaxRows - 1) / kMaxRows;
  const size_t panel_values = w.panel_bytes() / sizeof(uint16_t);
  for (int p = panel_begin; p < panel_end; p += kPanelsTogether) {
    const int together = std::min(kPanelsTogether, panel_end - p);
    const auto* panel = w.panel_as<uint16_t>(p);
    for (int t = 0; t < tiles; ++t) {
      const int begin = rows * t / tiles, height = rows * (t + 1) / tiles - begin;
      Tile args{.panel = panel,
                .second = together == 2 ? panel_values : 0,
                .x = {},
                .pairs = (w.k() + 1) / 2,
                .ahead = panel + together * panel_values + panel_values * t / tiles,
                .ahead_step = (2 * kPanel + tiles - 1) / tiles};
      for (int r = 0; r < height; ++r) args.x[r] = x.row(begin + r);
      kTiles[height - 1](args, sums);
      for (int r = 0; r < height; ++r) {
        for (int i = 0; i < together; ++i) {
          finish(w, sums + (2 * r + i) * kPanel, (p + i) * kPanel, y + (begin + r) * ldy, store);
        }
      }
    }
  }
}

#else

void Bf16Rows::set_row(int, const float*) {
  LS_CHECK(false, "no product of bf16 here");
}
void gemm_bf16(const PanelMatrix&, const Bf16Rows&, int, float*, size_t, int, int, Store) {
  LS_CHECK(false, "no product of bf16 here");
}

#endif

}  // namespace longshot::kernels
