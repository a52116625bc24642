#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/aligned.h"
#include "kernels/rows/row_ops.h"
#include "rollout/cpu/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "rollout/cpu/attention.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "kernels/rows/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace longshot::rollout::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::AlignedFloats;
using kernels::round_up;

using D = hn::CappedTag<float, kPage>;
using V = hn::Vec<D>;
constexpr int kN = static_cast<int>(hn::MaxLanes(D()));
constexpr int kPageVectors = kPage / kN;
constexpr int kMaxQueries = 6;  // handled together, so that keys and values are read once for them

// Loads a stored vector as f32, without its scale.
HWY_INLINE V load_kv(const float* at) {
  return hn::Load(D(), at);
}
HWY_INLINE V load_kv(const uint16_t* at) {
  const hn::Rebind<hwy::bfloat16_t, D> half;
  return hn::PromoteTo(D(), hn::Load(half, reinterpret_cast<const hwy::bfloat16_t*>(at)));
}
HWY_INLINE V load_kv(const int8_t* at) {
  const hn::Rebind<int8_t, D> bytes;
  const hn::Rebind<int32_t, D> integers;
  return hn::ConvertTo(D(), hn::PromoteTo(integers, hn::Load(bytes, at)));
}
template <typename T>
constexpr bool kScaled = sizeof(T) == 1;

// One query head of one row.
struct Query {
  const float* q;
  float* out;
  int first, length;  // sees positions [first, length)
  const std::byte* const* pages;
  // [pages * 16] scores, then softmax weights (times the values' scales, if they have any)
  float* weights;
  float* sum;  // [value_stride] weighted values so far
  float inverse_total;
};

// The pages [page, end) of a sequence, which are read, and the pages that come after them, which
// are fetched meanwhile because the KV cache of all sequences rarely fits the processor's caches.
struct Pages {
  const std::byte* const* pages;
  int page, end;
  std::span<const std::byte* const> after;

  // Page p. Beyond the end it is a page of `after`, or the last page if there is none.
  const std::byte* ahead(int p) const {
    if (p < end) return pages[p];
    return after.empty() ? pages[end - 1] : after[std::min<size_t>(p - end, after.size() - 1)];
  }
};

// Computes the scores of kQ queries with kP pages of keys from `page` on: a chain of multiply-adds
// over head_dim per (query, position). Several pages at once keep enough chains in flight when
// there are few queries.
template <typename T, int kQ, int kP>
HWY_INLINE void page_scores(const Attention& a, const Query* query, const Pages& of, int page) {
  const D d;
  constexpr int kVectors = kP * kPageVectors;
  const T* keys[kP];
  const T* next[kP];
  for (int p = 0; p < kP; ++p) {
    keys[p] = reinterpret_cast<const T*>(of.pages[page + p] + a.k_offset);
    next[p] = reinterpret_cast<const T*>(of.ahead(page + kP + p) + a.k_offset);
  }
  V acc[kQ][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Zero(d);
  }
  const auto key = [&](int v, int e) {
    return load_kv(keys[v / kPageVectors] + e * kPage + v % kPageVectors * kN);
  };
  for (int e = 0; e < a.head_dim; ++e) {
#pragma GCC unroll 4
    for (int p = 0; p < kP; ++p) hwy::Prefetch(next[p] + e * kPage);
    // Registers hold whichever are fewer: the vectors of keys, or the queries.
    if constexpr (kQ >= 4) {
      V k[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) k[v] = key(v, e);
#pragma GCC unroll 8
      for (int i = 0; i < kQ; ++i) {
        const V q = hn::Set(d, query[i].q[e]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::MulAdd(q, k[v], acc[i][v]);
      }
    } else {
      V q[kQ];
#pragma GCC unroll 4
      for (int i = 0; i < kQ; ++i) q[i] = hn::Set(d, query[i].q[e]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const V k = key(v, e);
#pragma GCC unroll 4
        for (int i = 0; i < kQ; ++i) acc[i][v] = hn::MulAdd(q[i], k, acc[i][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const int p = page + v / kPageVectors, at = v % kPageVectors * kN;
      V score = hn::Mul(acc[i][v], hn::Set(d, a.scale));
      if (kScaled<T>) {
        const auto* scales = reinterpret_cast<const float*>(of.pages[p] + a.scale_offset);
        score = hn::Mul(score, hn::Load(d, scales + at));
      }
      hn::Store(score, d, query[i].weights + p * kPage + at);
    }
  }
}

// Pages that are scored at once: the accumulators fit 12 of 16 registers, or 24 of 32.
template <int kQ>
constexpr int pages_together() {
  if (kPageVectors == 1) return 4;
  if (kPageVectors > 2) return 1;
  return kQ == 1 ? 4 : kQ >= 4 ? 1 : 2;
}

// Scores the pages for kQ queries, which all have these pages.
template <typename T, int kQ>
void score_pages(const Attention& a, const Query* query, const Pages& of) {
  constexpr int kTogether = pages_together<kQ>();
  int page = of.page;
  for (; page + kTogether <= of.end; page += kTogether)
    page_scores<T, kQ, kTogether>(a, query, of, page);
  for (; page < of.end; ++page) page_scores<T, kQ, 1>(a, query, of, page);
}

// Scores -> exp(score - max), zero for positions before the query's first one and from its length
// to `end`. Stores 1 / sum.
HWY_INLINE void softmax_weights(Query& query, int end) {
  const D d;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  float* w = query.weights;
  const int padded = round_up(query.length, kPage), start = query.first / kPage * kPage;
  std::fill(w + start, w + query.first, kLowest);
  std::fill(w + query.length, w + padded, kLowest);
  V top = hn::Set(d, kLowest);
  for (int i = start; i < padded; i += kN) top = hn::Max(top, hn::Load(d, w + i));
  const V max = hn::MaxOfLanes(d, top);
  kernels::HWY_NAMESPACE::LaneSum sum;
  for (int i = start; i < padded; i += kPage) {
    for (int v = 0; v < kPageVectors; ++v) {
      const V e = hn::Exp(d, hn::Sub(hn::Load(d, w + i + v * kN), max));
      hn::Store(e, d, w + i + v * kN);
      sum.add(v, e);
    }
  }
  std::fill(w, w + start, 0.0f);
  std::fill(w + query.length, w + end, 0.0f);
  query.inverse_total = 1.0f / sum.total();
}

// Multiplies the weights by the scales of the values, for formats that have them.
void scale_weights(const Attention& a, const Query& query) {
  const D d;
  for (int at = query.first / kPage * kPage; at < query.length; at += kPage) {
    const auto* scales =
        reinterpret_cast<const float*>(query.pages[at / kPage] + a.scale_offset) + kPage;
    for (int v = 0; v < kPage; v += kN) {
      float* w = query.weights + at + v;
      hn::Store(hn::Mul(hn::Load(d, w), hn::Load(d, scales + v)), d, w);
    }
  }
}

// Adds the first `count` positions of `page` to kVec vectors of the weighted sums: a chain of
// multiply-adds over the positions, in order. A position that a query does not see has weight +0
// and does not change the bits of the sum.
template <typename T, int kQ, int kVec>
HWY_INLINE void weigh_page(const Attention& a, const Query* query, int page, int count, int e0,
                           const std::byte* next, V (&acc)[kQ][kVec]) {
  const D d;
  const std::byte* memory = query[0].pages[page];
  const auto* value = reinterpret_cast<const T*>(memory + a.v_offset) + e0;
  const auto* ahead = reinterpret_cast<const T*>(next + a.v_offset) + e0;
  for (int p = 0; p < count; ++p, value += a.value_stride, ahead += a.value_stride) {
#pragma GCC unroll 8
    for (int v = 0; v < kVec; ++v) {
      if (v * kN * sizeof(T) % 64 == 0) hwy::Prefetch(ahead + v * kN);
    }
    if constexpr (kQ >= 4) {
      V row[kVec];
#pragma GCC unroll 8
      for (int v = 0; v < kVec; ++v) row[v] = load_kv(value + v * kN);
#pragma GCC unroll 8
      for (int i = 0; i < kQ; ++i) {
        const V w = hn::Set(d, query[i].weights[page * kPage + p]);
#pragma GCC unroll 8
        for (int v = 0; v < kVec; ++v) acc[i][v] = hn::MulAdd(w, row[v], acc[i][v]);
      }
    } else {
      V w[kQ];
#pragma GCC unroll 4
      for (int i = 0; i < kQ; ++i) w[i] = hn::Set(d, query[i].weights[page * kPage + p]);
#pragma GCC unroll 8
      for (int v = 0; v < kVec; ++v) {
        const V row = load_kv(value + v * kN);
#pragma GCC unroll 4
        for (int i = 0; i < kQ; ++i) acc[i][v] = hn::MulAdd(w[i], row, acc[i][v]);
      }
    }
  }
}

// Adds the positions before `length` to kVec vectors of the weighted sums, from element e0 on.
template <typename T, int kQ, int kVec>
HWY_INLINE void weigh_values(const Attention& a, const Query* query, const Pages& of, int length,
                             int e0) {
  const D d;
  V acc[kQ][kVec];
#pragma GCC unroll 8
  for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVec; ++v) acc[i][v] = hn::Load(d, query[i].sum + e0 + v * kN);
  }
  for (int page = of.page; page < of.end; ++page) {
    weigh_page<T, kQ, kVec>(a, query, page, std::min(kPage, length - page * kPage), e0,
                            of.ahead(page + 1), acc);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVec; ++v) hn::Store(acc[i][v], d, query[i].sum + e0 + v * kN);
  }
}

template <typename T, int kQ>
void weigh_pages(const Attention& a, const Query* query, const Pages& of, int length) {
  // The accumulators fit 12 of 16 registers, or 24 of 32.
  constexpr int kWide = kQ == 1 ? 8 : kN >= 16 || kQ <= 3 ? 4 : 2;
  int e = 0;
  for (; e + kWide * kN <= a.value_stride; e += kWide * kN)
    weigh_values<T, kQ, kWide>(a, query, of, length, e);
  for (; e + 2 * kN <= a.value_stride; e += 2 * kN) weigh_values<T, kQ, 2>(a, query, of, length, e);
  for (; e < a.value_stride; e += kN) weigh_values<T, kQ, 1>(a, query, of, length, e);
}

template <typename T, int kQ>
void one_tile(const Attention& a, const Query* query, Pages of, bool values) {
  int first = query[0].first, length = 0;
  for (int i = 0; i < kQ; ++i) {
    first = std::min(first, query[i].first);
    length = std::max(length, query[i].length);
  }
  of.page = std::max(of.page, first / kPage);
  of.end = std::min(of.end, (length + kPage - 1) / kPage);
  if (of.page >= of.end) return;
  if (values) {
    weigh_pages<T, kQ>(a, query, of, length);
  } else {
    score_pages<T, kQ>(a, query, of);
  }
}

// Computes the scores or the weighted values of pages that the queries have in common.
template <typename T>
void tiles(const Attention& a, std::span<Query> queries, const Pages& of, bool values) {
  for (size_t first = 0; first < queries.size(); first += kMaxQueries) {
    const Query* query = &queries[first];
    switch (std::min<size_t>(kMaxQueries, queries.size() - first)) {
      case 1:
        one_tile<T, 1>(a, query, of, values);
        break;
      case 2:
        one_tile<T, 2>(a, query, of, values);
        break;
      case 3:
        one_tile<T, 3>(a, query, of, values);
        break;
      case 4:
        one_tile<T, 4>(a, query, of, values);
        break;
      case 5:
        one_tile<T, 5>(a, query, of, values);
        break;
      default:
        one_tile<T, 6>(a, query, of, values);
    }
  }
}

// Processes the shared pages for all queries, a few pages at a time so that they stay in the
// first-level cache, then each row's own pages.
template <typename T>
void all_pages(const Attention& a, std::span<Query> queries, bool values) {
  constexpr int kTogether = 4;
  const auto own = [&](size_t r) -> std::span<const std::byte* const> {
    if (r == a.rows.size()) return {};
    const int pages = (a.rows[r].length + kPage - 1) / kPage;
    return {a.rows[r].pages + a.shared, static_cast<size_t>(std::max(0, pages - a.shared))};
  };
  for (int page = 0; page < a.shared; page += kTogether) {
    const int end = std::min(page + kTogether, a.shared);
    const std::span<const std::byte* const> next(a.rows[0].pages + end, a.shared - end);
    tiles<T>(a, queries, {a.rows[0].pages, page, end, end < a.shared ? next : own(0)}, values);
  }
  for (size_t r = 0; r < a.rows.size(); ++r) {
    const int end = a.shared + static_cast<int>(own(r).size());
    tiles<T>(a, queries.subspan(r * a.group, a.group), {a.rows[r].pages, a.shared, end, own(r + 1)},
             values);
  }
}

template <typename T>
void attend_to(const Attention& a) {
  thread_local AlignedFloats weights, sums;
  thread_local std::vector<Query> queries;
  int longest = 0;
  for (const AttentionRow& row : a.rows) longest = std::max(longest, round_up(row.length, kPage));
  const size_t total = a.rows.size() * a.group;
  weights.resize(std::max(weights.size(), total * longest));
  sums.assign(total * a.value_stride, 0.0f);
  queries.clear();
  for (const AttentionRow& row : a.rows) {
    for (int h = 0; h < a.group; ++h) {
      const size_t i = queries.size();
      queries.push_back({row.q + static_cast<size_t>(h) * a.head_dim,
                         row.out + static_cast<size_t>(h) * a.head_dim, row.first, row.length,
                         row.pages, weights.data() + i * longest, sums.data() + i * a.value_stride,
                         0.0f});
    }
  }
  all_pages<T>(a, queries, /*values=*/false);
  for (Query& query : queries) {
    const int first = query.first / kPage * kPage;
    if (a.cap > 0) kernels::soft_cap(query.weights + first, query.length - first, 1, a.cap);
    softmax_weights(query, longest);
    if (kScaled<T>) scale_weights(a, query);
  }
  all_pages<T>(a, queries, /*values=*/true);
  for (const Query& query : queries) {
    for (int e = 0; e < a.head_dim; ++e) query.out[e] = query.sum[e] * query.inverse_total;
  }
}

void attend_target(const Attention& a) {
  if (a.format == NumberFormat::bf16) return attend_to<uint16_t>(a);
  if (a.format == NumberFormat::int8) return attend_to<int8_t>(a);
  attend_to<float>(a);
}

}  // namespace longshot::rollout::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::rollout::cpu {

HWY_EXPORT(attend_target);

void attend(const Attention& a) {
  HWY_DYNAMIC_DISPATCH(attend_target)(a);
}

}  // namespace longshot::rollout::cpu
#endif  // HWY_ONCE
