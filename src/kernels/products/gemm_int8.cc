#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/products/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/products/gemm_int8.cc"
#define HWY_WANT_AVX3_DL  // AVX-512 with VNNI
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#if HWY_TARGET != HWY_SCALAR && defined(__x86_64__)
#include <immintrin.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums byte * q with the bytes as they are stored: each byte is 128 too large, which finish()
// corrects.
struct Int8Tile {
  const uint8_t* panel;  // [k / 4][16][4]
  size_t second;         // bytes from one panel to the next
  const QuantizedRows* x;
  int row;
  int quads;  // k / 4, rounded up
  // Weights that will be needed next, fetched meanwhile: each tile fetches a part of a panel.
  const uint8_t* ahead;
  int ahead_step;  // bytes for each quad
};

constexpr int kSumsStride = 32;  // row stride of the sums of a tile, [rows][32]: two panels

#if HWY_TARGET == HWY_AVX3_DL

constexpr int kMaxRows = 12, kPanelsTogether = 2;

// Highway requires VNNI when it chooses this target but does not enable it in the compiler.
template <int kRows>
__attribute__((target("avx512f,avx512vnni"))) void tile(const Int8Tile& t, int32_t* sums) {
  __m512i acc[kRows][2];
  const int8_t* x[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    acc[r][0] = acc[r][1] = _mm512_setzero_si512();
    x[r] = t.x->row_bytes(t.row + r);
  }
  const uint8_t *w = t.panel, *ahead = t.ahead;
  for (int i = 0; i < t.quads; ++i, w += 64, ahead += t.ahead_step) {
    const __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + t.second);
    __builtin_prefetch(ahead, 0, 2);
    __builtin_prefetch(ahead + t.second, 0, 2);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      int32_t four;
      __builtin_memcpy(&four, x[r] + 4 * i, 4);
      const __m512i xv = _mm512_set1_epi32(four);
      acc[r][0] = _mm512_dpbusd_epi32(acc[r][0], w0, xv);
      acc[r][1] = _mm512_dpbusd_epi32(acc[r][1], w1, xv);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_si512(sums + r * kSumsStride, acc[r][0]);
    _mm512_storeu_si512(sums + r * kSumsStride + kPanel, acc[r][1]);
  }
}

#elif HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

constexpr int kMaxRows = 6, kPanelsTogether = 1;

// sum += the products of pairs. Written in assembly because the compiler, which puts the products
// of a whole tile before the sums, runs out of registers.
HWY_INLINE void add_products(__m256i& sum, __m256i a, __m256i b) {
  __m256i products;
  asm("vpmaddwd %[a], %[b], %[products]\n\tvpaddd %[products], %[sum], %[sum]"
      : [sum] "+x"(sum), [products] "=&x"(products)
      : [a] "x"(a), [b] "x"(b));
}

// Computes kVectors * 4 columns of the panel, from byte `offset` of each quad on. Without VNNI the
// byte products can saturate, so bytes are widened to 16 bits, and pairs of products are summed to
// 32 bits.
template <int kRows, int kVectors>
HWY_INLINE void part_tile(const Int8Tile& t, int offset, int32_t* sums) {
  __m256i acc[kRows][kVectors];  // four columns each, two partial sums per column
  const int16_t* x[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm256_setzero_si256();
    x[r] = t.x->row(t.row + r);
  }
  const uint8_t* w = t.panel + offset;
  for (int i = 0; i < t.quads; ++i, w += 64) {
    __builtin_prefetch(w + 2048, 0, 2);
    __m256i wide[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      wide[v] = _mm256_cvtepu8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(w + 16 * v)));
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      long long four;
      __builtin_memcpy(&four, x[r] + 4 * i, 8);
      const __m256i xv = _mm256_set1_epi64x(four);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) add_products(acc[r][v], wide[v], xv);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 2) {
      // Sums of pairs come out as columns 0 1 4 5 2 3 6 7.
      const __m256i pairs = _mm256_hadd_epi32(acc[r][v], acc[r][v + 1]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + r * kSumsStride + 4 * v),
                          _mm256_permute4x64_epi64(pairs, 0b11'01'10'00));
    }
  }
}

// The accumulators of up to six rows fit the registers with half a panel, those of up to two rows
// with a whole panel.
template <int kRows>
void tile(const Int8Tile& t, int32_t* sums) {
  constexpr int kVectors = kRows <= 2 ? 4 : 2;
  for (int v = 0; v < 4; v += kVectors) part_tile<kRows, kVectors>(t, 16 * v, sums + 4 * v);
}

#else

constexpr int kMaxRows = 1, kPanelsTogether = 1;

template <int kRows>
void tile(const Int8Tile& t, int32_t* sums) {
  static_assert(kRows == 1);
  const int16_t* x = t.x->row(t.row);
  std::fill_n(sums, kPanel, 0);
  for (int i = 0; i < t.quads; ++i) {
    for (int c = 0; c < kPanel; ++c) {
      auto sum = static_cast<uint32_t>(sums[c]);  // may wrap around, as vectors do
      for (int j = 0; j < 4; ++j)
        sum += static_cast<uint32_t>(t.panel[(i * kPanel + c) * 4 + j] * x[4 * i + j]);
      sums[c] = static_cast<int32_t>(sum);
    }
  }
}

#endif

using TileFn = void (*)(const Int8Tile&, int32_t*);

template <int kRows>
void choose(int rows, TileFn& fn) {
  if (rows == kRows) fn = tile<kRows>;
  if constexpr (kRows > 1) choose<kRows - 1>(rows, fn);
}

// sums -> y: removes the 128 of every weight byte, scales, and adds the bias.
void finish(const PanelMatrix& w, const QuantizedRows& x, int row, const int32_t* sums, int column,
            float* y, Store store) {
  const hn::CappedTag<float, kPanel> d;
  const hn::Rebind<int32_t, decltype(d)> integers;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
  const int columns = std::min(kPanel, w.n() - column);
  // Computed modulo 2^32, like the sums: only the difference has to fit.
  const auto excess =
      hn::Set(integers, static_cast<int32_t>(128u * static_cast<uint32_t>(x.sum(row))));
  const auto row_scale = hn::Set(d, x.scale(row));
  alignas(64) float out[kPanel];
  for (int c = 0; c < kPanel; c += kLanes) {
    const auto exact = hn::ConvertTo(d, hn::Sub(hn::LoadU(integers, sums + c), excess));
    const auto scale = hn::Mul(row_scale, hn::Load(d, w.column_scales() + column + c));
    auto v = hn::MulAdd(exact, scale, hn::Load(d, w.bias() + column + c));
    if (columns == kPanel) {
      if (store == Store::add) v = hn::Add(hn::LoadU(d, y + column + c), v);
      hn::StoreU(v, d, y + column + c);
    } else {
      hn::Store(v, d, out + c);
    }
  }
  if (columns == kPanel) return;
  for (int c = 0; c < columns; ++c)
    y[column + c] = store == Store::add ? y[column + c] + out[c] : out[c];
}

void gemm_int8_target(const PanelMatrix& w, const QuantizedRows& x, int rows, float* y, size_t ldy,
                      int panel_begin, int panel_end, Store store) {
  alignas(64) int32_t sums[kMaxRows * kSumsStride];
  const int tiles = (rows + kMaxRows - 1) / kMaxRows;
  for (int p = panel_begin; p < panel_end; p += kPanelsTogether) {
    const int together = std::min(kPanelsTogether, panel_end - p);
    const auto* panel = w.panel_as<uint8_t>(p);
    const uint8_t* ahead = panel + together * w.panel_bytes();
    for (int t = 0; t < tiles; ++t) {
      const int begin = rows * t / tiles, height = rows * (t + 1) / tiles - begin;
      TileFn fn = nullptr;
      choose<kMaxRows>(height, fn);
      fn({.panel = panel,
          .second = together == 2 ? w.panel_bytes() : 0,
          .x = &x,
          .row = begin,
          .quads = (w.k() + 3) / 4,
          .ahead = ahead + w.panel_bytes() * t / tiles,
          .ahead_step = (kPanel * 4 + tiles - 1) / tiles},
         sums);
      for (int r = 0; r < height; ++r) {
        for (int i = 0; i < together; ++i) {
          finish(w, x, begin + r, sums + r * kSumsStride + i * kPanel, (p + i) * kPanel,
                 y + (begin + r) * ldy, store);
        }
      }
    }
  }
}

constexpr bool kBytes = HWY_TARGET == HWY_AVX3_DL;

bool byte_products_target() {
  return kBytes;
}

int levels_target(int k) {
  return kBytes ? 127 : std::min(2047, std::numeric_limits<int32_t>::max() / (127 * k));
}

// Quantizes one row to the numbers that the products read.
void quantize_target(const float* x, int k, int8_t* bytes, int16_t* values, float* scale,
                     int32_t* sum) {
  const hn::CappedTag<float, 16> d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
  auto top = hn::Zero(d);
  int i = 0;
  for (; i + kLanes <= k; i += kLanes) top = hn::Max(top, hn::Abs(hn::LoadU(d, x + i)));
  float largest = hn::GetLane(hn::MaxOfLanes(d, top));
  for (; i < k; ++i) largest = std::max(largest, std::abs(x[i]));
  const int levels = levels_target(k);
  const float inverse = largest > 0 ? static_cast<float>(levels) / largest : 0.0f;
  const hn::Rebind<int16_t, decltype(d)> words;
  const hn::Rebind<int8_t, decltype(d)> small;
  const hn::Rebind<int32_t, decltype(d)> integers;
  auto total = hn::Zero(integers);
  for (i = 0; i + kLanes <= k; i += kLanes) {
    const auto q = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, inverse)));
    total = hn::Add(total, q);
    if constexpr (kBytes) {
      hn::StoreU(hn::DemoteTo(small, q), small, bytes + i);
    } else {
      hn::StoreU(hn::DemoteTo(words, q), words, values + i);
    }
  }
  *sum = hn::GetLane(hn::SumOfLanes(integers, total));
  for (; i < k; ++i) {
    const auto q = static_cast<int16_t>(std::nearbyint(x[i] * inverse));
    *sum += q;
    if (kBytes) {
      bytes[i] = static_cast<int8_t>(q);
    } else {
      values[i] = q;
    }
  }
  *scale = largest / static_cast<float>(levels);
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(gemm_int8_target);
HWY_EXPORT(quantize_target);
HWY_EXPORT(levels_target);
HWY_EXPORT(byte_products_target);

bool has_byte_products() {
  return HWY_DYNAMIC_DISPATCH(byte_products_target)();
}

int int8_levels(int k) {
  return HWY_DYNAMIC_DISPATCH(levels_target)(k);
}

void QuantizedRows::reset(int rows, int k) {
  k_ = k;
  stride_ = static_cast<size_t>(round_up(k, 64));
  if (bytes_.size() < rows * stride_) {
    bytes_.assign(rows * stride_, 0);
    values_.assign(rows * stride_, 0);
  }
  if (scales_.size() < static_cast<size_t>(rows)) {
    scales_.resize(rows);
    sums_.resize(rows);
  }
}

void QuantizedRows::set_row(int row, const float* x) {
  const size_t at = static_cast<size_t>(row) * stride_;
  HWY_DYNAMIC_DISPATCH(quantize_target)
  (x, k_, bytes_.data() + at, values_.data() + at, &scales_[row], &sums_[row]);
  std::fill(bytes_.begin() + at + k_, bytes_.begin() + at + stride_, 0);
  std::fill(values_.begin() + at + k_, values_.begin() + at + stride_, 0);
}

void gemm_int8(const PanelMatrix& w, const QuantizedRows& x, int rows, float* y, size_t ldy,
               int panel_begin, int panel_end, Store store) {
  HWY_DYNAMIC_DISPATCH(gemm_int8_target)(w, x, rows, y, ldy, panel_begin, panel_end, store);
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE
