#include "rollout/sampling/vocab_kernels.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "rollout/sampling/vocab_kernels.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "kernels/rows/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace longshot::rollout::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using kernels::HWY_NAMESPACE::LaneSum;
using D = LaneSum::D;
constexpr size_t kN = LaneSum::kN;

float max_value_target(const float* values, size_t n) {
  const D d;
  auto top = hn::Set(d, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + kN <= n; i += kN) top = hn::Max(hn::LoadU(d, values + i), top);
  float max = hn::GetLane(hn::MaxOfLanes(d, top));
  for (; i < n; ++i) max = std::max(max, values[i]);
  return max;
}

// Computes 16 weights and adds them to `sum`.
HWY_INLINE void exp_16(const float* logits, float max, float scale, float* weights, LaneSum& sum) {
  const D d;
  for (int v = 0; v < LaneSum::kVectors; ++v) {
    const auto x =
        hn::Mul(hn::Sub(hn::LoadU(d, logits + v * kN), hn::Set(d, max)), hn::Set(d, scale));
    const auto e = hn::Exp(d, x);
    hn::StoreU(e, d, weights + v * kN);
    sum.add(v, e);
  }
}

void exp_weights_target(const float* logits, size_t n, float max, float scale, float* weights,
                        double* block_sums) {
  for (size_t begin = 0; begin < n; begin += kWeightBlock) {
    const size_t end = std::min(n, begin + kWeightBlock);
    LaneSum sum;
    size_t i = begin;
    for (; i + 16 <= end; i += 16) exp_16(logits + i, max, scale, weights + i, sum);
    if (i < end) {
      float in[16], out[16];
      std::fill_n(in, 16, -std::numeric_limits<float>::infinity());
      std::copy(logits + i, logits + end, in);
      exp_16(in, max, scale, out, sum);
      std::copy_n(out, end - i, weights + i);
    }
    block_sums[begin / kWeightBlock] = sum.total();
  }
}

}  // namespace longshot::rollout::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::rollout {

HWY_EXPORT(max_value_target);
HWY_EXPORT(exp_weights_target);

float max_value(std::span<const float> values) {
  return HWY_DYNAMIC_DISPATCH(max_value_target)(values.data(), values.size());
}

void exp_weights(std::span<const float> logits, float max, float scale, float* weights,
                 double* block_sums) {
  HWY_DYNAMIC_DISPATCH(exp_weights_target)
  (logits.data(), logits.size(), max, scale, weights, block_sums);
}

}  // namespace longshot::rollout
#endif  // HWY_ONCE
