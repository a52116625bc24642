#include "kernels/attention/attention_blocks.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/attention_blocks.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "kernels/rows/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = LaneSum::D;
constexpr int kN = LaneSum::kN;
constexpr float kLowest = -std::numeric_limits<float>::infinity();

void softmax_row(const SoftmaxBlock& b, int r) {
  const D d;
  float* s = b.scores + static_cast<size_t>(r) * b.stride;
  const auto seen = static_cast<int>(std::clamp<int64_t>(b.visible + r, 0, b.keys));
  const auto hidden = static_cast<int>(std::clamp<int64_t>(b.hidden + r, 0, b.keys));
  if (hidden >= seen) {
    std::fill(s, s + b.keys, 0.0f);
    return;
  }
  const int padded = (seen + 15) / 16 * 16;
  std::fill(s + padded, s + std::max(b.keys, padded), 0.0f);
  std::fill(s, s + hidden, kLowest);
  std::fill(s + seen, s + padded, kLowest);
  auto top = hn::Set(d, kLowest);
  for (int i = 0; i < padded; i += kN) top = hn::Max(top, hn::Load(d, s + i));
  const float before = b.max[r];
  const float max = std::max(before, hn::GetLane(hn::MaxOfLanes(d, top)) * b.scale);
  const auto scale = hn::Set(d, b.scale), offset = hn::Set(d, max);
  LaneSum sum;
  for (int i = 0; i < padded; i += 16) {
    for (int v = 0; v < LaneSum::kVectors; ++v) {
      const auto e = hn::Exp(d, hn::MulSub(hn::Load(d, s + i + v * kN), scale, offset));
      hn::Store(e, d, s + i + v * kN);
      sum.add(v, e);
    }
  }
  const float factor = std::exp(before - max);  // 0 for the first block
  b.total[r] = b.total[r] * factor + sum.total();
  b.max[r] = max;
  if (factor == 1.0f) return;
  float* sums = b.sums + static_cast<size_t>(r) * b.width;
  for (int e = 0; e < b.width; e += kN)
    hn::Store(hn::Mul(hn::Load(d, sums + e), hn::Set(d, factor)), d, sums + e);
}

void softmax_block_target(const SoftmaxBlock& b) {
  for (int r = 0; r < b.rows; ++r) softmax_row(b, r);
}

template <bool kCapped>
void softmax_gradient_rows(const SoftmaxGradientBlock& b) {
  const D d;
  const auto scale = hn::Set(d, b.scale);
  const int padded = (b.queries + 15) / 16 * 16;
  for (int k = 0; k < b.keys; ++k) {
    float* s = b.scores + static_cast<size_t>(k) * b.stride;
    float* g = b.dweights + static_cast<size_t>(k) * b.stride;
    const auto hidden = static_cast<int>(std::clamp<int64_t>(b.hidden + k, 0, b.queries));
    const auto past = static_cast<int>(std::clamp<int64_t>(b.past + k, hidden, padded));
    const int begin = hidden / kN * kN, end = std::min((past + kN - 1) / kN * kN, padded);
    std::fill(s, s + begin, 0.0f);
    std::fill(g, g + begin, 0.0f);
    for (int q = begin; q < end; q += kN) {
      const auto dot = hn::Load(d, b.dots + q), log_sum = hn::Load(d, b.log_sums + q);
      auto factor = scale;
      auto w = hn::Zero(d);
      if constexpr (kCapped) {
        const auto t = hn::Tanh(d, hn::Mul(hn::Load(d, s + q), hn::Set(d, b.scale / b.cap)));
        w = hn::Exp(d, hn::MulSub(t, hn::Set(d, b.cap), log_sum));
        factor = hn::Mul(scale, hn::NegMulAdd(t, t, hn::Set(d, 1.0f)));
      } else {
        w = hn::Exp(d, hn::MulSub(hn::Load(d, s + q), scale, log_sum));
      }
      const auto gradient = hn::Mul(hn::Mul(w, hn::Sub(hn::Load(d, g + q), dot)), factor);
      hn::Store(w, d, s + q);
      hn::Store(gradient, d, g + q);
    }
    std::fill(s + begin, s + hidden, 0.0f);
    std::fill(g + begin, g + hidden, 0.0f);
    std::fill(s + past, s + padded, 0.0f);
    std::fill(g + past, g + padded, 0.0f);
  }
}

void softmax_gradient_block_target(const SoftmaxGradientBlock& b) {
  if (b.cap > 0) return softmax_gradient_rows<true>(b);
  softmax_gradient_rows<false>(b);
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(softmax_block_target);
HWY_EXPORT(softmax_gradient_block_target);

void softmax_block(const SoftmaxBlock& b) {
  HWY_DYNAMIC_DISPATCH(softmax_block_target)(b);
}
void softmax_gradient_block(const SoftmaxGradientBlock& b) {
  HWY_DYNAMIC_DISPATCH(softmax_gradient_block_target)(b);
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE
