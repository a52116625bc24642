#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "rollout/cpu/aligned.h"
#include "rollout/cpu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "rollout/cpu/attention.cc"
#include "rollout/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "rollout/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace longshot::rollout::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPage>;
using V = hn::Vec<D>;
constexpr int kN = static_cast<int>(hn::MaxLanes(D()));
constexpr int kPageVectors = kPage / kN;
constexpr int kMaxQueries = 4;  // handled together, so that keys and values are read once for them

// One query head of one row.
struct Query {
  const float* q;
  float* out;
  int length;                 // sees positions [0, length)
  const float* const* pages;
  float* weights;             // [pages * 16] scores, then softmax weights
  float* sum;                 // [value_stride] weighted values so far
  float inverse_total;
};

// Scores of kQ queries with kP pages of keys from `page` on: a chain of multiply-adds over head_dim per (query,
// position). Several pages at once keep enough chains in flight when there is a single query.
template <int kQ, int kP>
HWY_INLINE void page_scores(const Attention& a, const Query* query, int page, int end,
                            float scale) {
  const D d;
  const float* const* pages = query[0].pages;
  const float* keys[kP];
  const float* next[kP];  // fetched meanwhile: the cache of all sequences rarely fits the processor's
  for (int p = 0; p < kP; ++p) {
    keys[p] = pages[page + p] + a.k_offset;
    next[p] = pages[std::min(page + kP + p, end - 1)] + a.k_offset;
  }
  for (int part = 0; part < kPageVectors; ++part) {
    V acc[kQ][kP];
#pragma GCC unroll 4
    for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 4
      for (int p = 0; p < kP; ++p) acc[i][p] = hn::Zero(d);
    }
    for (int e = 0; e < a.head_dim; ++e) {
#pragma GCC unroll 4
      for (int p = 0; p < kP; ++p) {
        const V k = hn::Load(d, keys[p] + e * kPage + part * kN);
        hwy::Prefetch(next[p] + e * kPage);
#pragma GCC unroll 4
        for (int i = 0; i < kQ; ++i)
          acc[i][p] = hn::MulAdd(hn::Set(d, query[i].q[e]), k, acc[i][p]);
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 4
      for (int p = 0; p < kP; ++p) {
        hn::Store(hn::Mul(acc[i][p], hn::Set(d, scale)), d,
                  query[i].weights + (page + p) * kPage + part * kN);
      }
    }
  }
}

// Pages [page, end) for kQ queries, which all have these pages.
template <int kQ>
void score_pages(const Attention& a, const Query* query, int page, int end) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
  constexpr int kTogether = kQ == 1 ? 4 : kQ == 2 ? 2 : 1;
  for (; page + kTogether <= end; page += kTogether) {
    page_scores<kQ, kTogether>(a, query, page, end, scale);
  }
  for (; page < end; ++page) page_scores<kQ, 1>(a, query, page, end, scale);
}

// Scores -> exp(score - max), zero from the query's length to `end`; remembers 1 / sum.
HWY_INLINE void softmax_weights(Query& query, int end) {
  const D d;
  float* w = query.weights;
  const int padded = round_up(query.length, kPage);
  std::fill(w + query.length, w + padded, -std::numeric_limits<float>::infinity());
  V top = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int i = 0; i < padded; i += kN) top = hn::Max(top, hn::Load(d, w + i));
  const V max = hn::MaxOfLanes(d, top);
  rollout::HWY_NAMESPACE::LaneSum sum;
  for (int i = 0; i < padded; i += kPage) {
    for (int v = 0; v < kPageVectors; ++v) {
      const V e = hn::Exp(d, hn::Sub(hn::Load(d, w + i + v * kN), max));
      hn::Store(e, d, w + i + v * kN);
      sum.add(v, e);
    }
  }
  std::fill(w + query.length, w + end, 0.0f);
  query.inverse_total = 1.0f / sum.total();
}

// Adds positions [begin, end) to kVec vectors of the weighted sum from element e0 on: a chain of multiply-adds over
// the positions, in order. A position beyond a query's length has weight +0 and leaves the sum's bits alone.
template <int kQ, int kVec>
HWY_INLINE void weigh_values(const Attention& a, const Query* query, int begin, int end, int e0) {
  const D d;
  const float* const* pages = query[0].pages;
  V acc[kQ][kVec];
#pragma GCC unroll 4
  for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVec; ++v) acc[i][v] = hn::Load(d, query[i].sum + e0 + v * kN);
  }
  for (int p = begin; p < end; ++p) {
    const size_t offset = a.v_offset + (p % kPage) * a.value_stride + e0;
    const float* value = pages[p / kPage] + offset;
    const float* next = pages[std::min(p + kPage, end - 1) / kPage] + offset;
    V row[kVec];
#pragma GCC unroll 4
    for (int v = 0; v < kVec; ++v) {
      row[v] = hn::Load(d, value + v * kN);
      hwy::Prefetch(next + v * kN);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kQ; ++i) {
      const V w = hn::Set(d, query[i].weights[p]);
#pragma GCC unroll 4
      for (int v = 0; v < kVec; ++v) acc[i][v] = hn::MulAdd(w, row[v], acc[i][v]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVec; ++v) hn::Store(acc[i][v], d, query[i].sum + e0 + v * kN);
  }
}

template <int kQ>
void weigh_pages(const Attention& a, const Query* query, int begin, int end) {
  constexpr int kWide = kN >= 16 || kQ <= 2 ? 4 : 2;
  int e = 0;
  for (; e + kWide * kN <= a.value_stride; e += kWide * kN)
    weigh_values<kQ, kWide>(a, query, begin, end, e);
  for (; e + 2 * kN <= a.value_stride; e += 2 * kN) weigh_values<kQ, 2>(a, query, begin, end, e);
  for (; e < a.value_stride; e += kN) weigh_values<kQ, 1>(a, query, begin, end, e);
}

template <int kQ>
void one_tile(const Attention& a, const Query* query, int page, int page_end, bool values) {
  int length = 0;
  for (int i = 0; i < kQ; ++i) length = std::max(length, query[i].length);
  if (values) {
    weigh_pages<kQ>(a, query, page * kPage, std::min(page_end * kPage, length));
  } else {
    score_pages<kQ>(a, query, page, std::min(page_end, (length + kPage - 1) / kPage));
  }
}

// Scores or weighted values of pages [page, page_end) for queries that have them in common.
void tiles(const Attention& a, std::span<Query> queries, int page, int page_end, bool values) {
  for (size_t first = 0; first < queries.size(); first += kMaxQueries) {
    const Query* query = &queries[first];
    switch (std::min<size_t>(kMaxQueries, queries.size() - first)) {
      case 1:
        one_tile<1>(a, query, page, page_end, values);
        break;
      case 2:
        one_tile<2>(a, query, page, page_end, values);
        break;
      case 3:
        one_tile<3>(a, query, page, page_end, values);
        break;
      default:
        one_tile<4>(a, query, page, page_end, values);
    }
  }
}

// The shared pages for all queries, a few pages at a time so that they stay in the first cache; then each row's own.
void all_pages(const Attention& a, std::span<Query> queries, bool values) {
  constexpr int kTogether = 4;
  for (int page = 0; page < a.shared; page += kTogether) {
    tiles(a, queries, page, std::min(page + kTogether, a.shared), values);
  }
  for (size_t r = 0; r < a.rows.size(); ++r) {
    const int pages = (a.rows[r].length + kPage - 1) / kPage;
    if (pages > a.shared) tiles(a, queries.subspan(r * a.group, a.group), a.shared, pages, values);
  }
}

void attend_target(const Attention& a) {
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
                         row.out + static_cast<size_t>(h) * a.head_dim, row.length, row.pages,
                         weights.data() + i * longest, sums.data() + i * a.value_stride, 0.0f});
    }
  }
  all_pages(a, queries, /*values=*/false);
  for (Query& query : queries) softmax_weights(query, longest);
  all_pages(a, queries, /*values=*/true);
  for (const Query& query : queries) {
    for (int e = 0; e < a.head_dim; ++e) query.out[e] = query.sum[e] * query.inverse_total;
  }
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
