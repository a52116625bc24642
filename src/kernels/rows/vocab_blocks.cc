#include "kernels/rows/vocab_blocks.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rows/vocab_blocks.cc"
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
constexpr float kPadding = -1e30f;  // finite: its weight is 0, and so is their product

int padded(int count) {
  return (count + 15) / 16 * 16;
}

void add_block_target(float* row, int count, float inverse, bool with_weighted, VocabSums& sums) {
  const D d;
  std::fill(row + count, row + padded(count), kPadding);
  auto top = hn::Load(d, row);
  for (int i = kN; i < padded(count); i += kN) top = hn::Max(top, hn::Load(d, row + i));
  const float max = std::max(sums.max, hn::GetLane(hn::MaxOfLanes(d, top)) * inverse);
  const auto scale = hn::Set(d, inverse), offset = hn::Set(d, max);
  LaneSum total, weighted;
  for (int i = 0; i < padded(count); i += 16) {
    for (int v = 0; v < LaneSum::kVectors; ++v) {
      const auto x = hn::Mul(hn::Load(d, row + i + v * kN), scale);
      const auto e = hn::Exp(d, hn::Sub(x, offset));
      total.add(v, e);
      if (with_weighted) weighted.add(v, hn::Mul(e, x));
    }
  }
  const float factor = std::exp(sums.max - max);
  sums.max = max;
  sums.total = sums.total * factor + total.total();
  if (with_weighted) sums.weighted = sums.weighted * factor + weighted.total();
}

void softmax_times_target(float* row, int count, float inverse, float log_sum, float factor) {
  const D d;
  const auto scale = hn::Set(d, inverse), offset = hn::Set(d, log_sum), times = hn::Set(d, factor);
  for (int i = 0; i < padded(count); i += kN) {
    const auto e = hn::Exp(d, hn::MulSub(hn::Load(d, row + i), scale, offset));
    hn::Store(hn::Mul(e, times), d, row + i);
  }
}

void softmax_times_line_target(float* row, int count, float inverse, float log_sum, float offset,
                               float slope) {
  const D d;
  const auto scale = hn::Set(d, inverse), sum = hn::Set(d, log_sum), start = hn::Set(d, offset),
             rise = hn::Set(d, slope);
  for (int i = 0; i < padded(count); i += kN) {
    const auto x = hn::MulSub(hn::Load(d, row + i), scale, sum);
    hn::Store(hn::Mul(hn::Exp(d, x), hn::MulAdd(rise, x, start)), d, row + i);
  }
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(add_block_target);
HWY_EXPORT(softmax_times_target);
HWY_EXPORT(softmax_times_line_target);

void add_block(float* row, int count, float inverse_temperature, bool with_weighted,
               VocabSums& sums) {
  HWY_DYNAMIC_DISPATCH(add_block_target)(row, count, inverse_temperature, with_weighted, sums);
}
void softmax_times(float* row, int count, float inverse_temperature, float log_sum, float factor) {
  HWY_DYNAMIC_DISPATCH(softmax_times_target)(row, count, inverse_temperature, log_sum, factor);
}
void softmax_times_line(float* row, int count, float inverse_temperature, float log_sum,
                        float offset, float slope) {
  HWY_DYNAMIC_DISPATCH(softmax_times_line_target)
  (row, count, inverse_temperature, log_sum, offset, slope);
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE
