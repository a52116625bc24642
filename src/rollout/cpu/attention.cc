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

// One query head at one position.
struct Query {
  const float* q;
  float* out;
  int length;      // sees positions [0, length)
  float* weights;  // [pages * 16] scores, then softmax weights
  float inverse_sum;
};

// Scores of kQ queries with kP pages of keys from `page` on: a chain of multiply-adds over head_dim per (query,
// position). Several pages at once keep enough chains in flight when there is a single query.
template <int kQ, int kP>
HWY_INLINE void page_scores(const Attention& a, const Query* query, int page, int pages,
                            float scale) {
  const D d;
  const float* keys[kP];
  const float*
      next[kP];  // fetched meanwhile: the cache of all sequences rarely fits the processor's
  for (int p = 0; p < kP; ++p) {
    keys[p] = a.pages[page + p] + a.k_offset;
    next[p] = a.pages[std::min(page + kP + p, pages - 1)] + a.k_offset;
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

// Scores -> exp(score - max), zero beyond the query's length; remembers 1 / sum.
HWY_INLINE void softmax_weights(Query& query, int pages) {
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
  std::fill(w + query.length, w + pages * kPage, 0.0f);
  query.inverse_sum = 1.0f / sum.total();
}

// kVec vectors of the output from element e0 on: a chain of multiply-adds over the positions, in order. A
// position beyond a query's length has weight +0 and leaves the sum's bits alone.
template <int kQ, int kVec>
HWY_INLINE void weigh_values(const Attention& a, const Query* query, int length, int e0) {
  const D d;
  V acc[kQ][kVec];
#pragma GCC unroll 4
  for (int i = 0; i < kQ; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVec; ++v) acc[i][v] = hn::Zero(d);
  }
  for (int p = 0; p < length; ++p) {
    const size_t offset = a.v_offset + (p % kPage) * a.value_stride + e0;
    const float* value = a.pages[p / kPage] + offset;
    const float* next = a.pages[std::min(p + kPage, length - 1) / kPage] + offset;
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
    for (int v = 0; v < kVec; ++v) {
      alignas(64) float result[kN];
      hn::Store(hn::Mul(acc[i][v], hn::Set(d, query[i].inverse_sum)), d, result);
      const int begin = e0 + v * kN;
      std::copy_n(result, std::clamp(a.head_dim - begin, 0, kN), query[i].out + begin);
    }
  }
}

template <int kQ>
void attend_queries(const Attention& a, Query* query) {
  int length = 0;
  for (int i = 0; i < kQ; ++i) length = std::max(length, query[i].length);
  const int pages = (length + kPage - 1) / kPage;
  const float scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
  constexpr int kTogether = kQ == 1 ? 4 : kQ == 2 ? 2 : 1;
  int page = 0;
  for (; page + kTogether <= pages; page += kTogether) {
    page_scores<kQ, kTogether>(a, query, page, pages, scale);
  }
  for (; page < pages; ++page) page_scores<kQ, 1>(a, query, page, pages, scale);
  for (int i = 0; i < kQ; ++i) softmax_weights(query[i], pages);
  constexpr int kWide = kN >= 16 || kQ <= 2 ? 4 : 2;
  int e = 0;
  for (; e + kWide * kN <= a.value_stride; e += kWide * kN)
    weigh_values<kQ, kWide>(a, query, length, e);
  for (; e + 2 * kN <= a.value_stride; e += 2 * kN) weigh_values<kQ, 2>(a, query, length, e);
  for (; e < a.value_stride; e += kN) weigh_values<kQ, 1>(a, query, length, e);
}

void attend_target(const Attention& a) {
  const int longest = round_up(a.position + a.rows, kPage);
  thread_local AlignedFloats weights;
  weights.resize(static_cast<size_t>(longest) * kMaxQueries);
  const int total = a.rows * a.group;
  for (int first = 0; first < total; first += kMaxQueries) {
    const int count = std::min(kMaxQueries, total - first);
    Query query[kMaxQueries];
    for (int i = 0; i < count; ++i) {
      const int row = (first + i) / a.group, head = (first + i) % a.group;
      query[i] = {a.q + row * a.ldq + static_cast<size_t>(head) * a.head_dim,
                  a.out + row * a.ldo + static_cast<size_t>(head) * a.head_dim,
                  a.position + row + 1, weights.data() + static_cast<size_t>(i) * longest, 0.0f};
    }
    switch (count) {
      case 1:
        attend_queries<1>(a, query);
        break;
      case 2:
        attend_queries<2>(a, query);
        break;
      case 3:
        attend_queries<3>(a, query);
        break;
      default:
        attend_queries<4>(a, query);
    }
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
