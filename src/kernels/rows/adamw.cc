#include "kernels/rows/adamw.h"

#include <array>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rows/adamw.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Updates one element with fused multiply-adds, so that the tail has the same bits as the vectors.
HWY_INLINE void adamw_one(const AdamWStep& s, float g, float& w, float& m, float& v, float keep,
                          float rate, float inverse_root) {
  g *= s.gradient_scale;
  m = std::fma(1.0F - s.beta1, g - m, m);
  v = std::fma(1.0F - s.beta2, std::fma(g, g, -v), v);
  w = std::fma(-rate, m / std::fma(std::sqrt(v), inverse_root, s.eps), w * keep);
}

void adamw_target(const AdamWStep& s, const float* gradient, int64_t count, float* weight, float* m,
                  float* v) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float keep = 1.0F - s.lr * s.decay, rate = s.lr / s.correction1,
              inverse_root = 1.0F / s.root_correction2;
  const auto scale = hn::Set(d, s.gradient_scale), first = hn::Set(d, 1.0F - s.beta1),
             second = hn::Set(d, 1.0F - s.beta2), eps = hn::Set(d, s.eps);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto g = hn::Mul(hn::LoadU(d, gradient + i), scale);
    auto mv = hn::LoadU(d, m + i), vv = hn::LoadU(d, v + i);
    mv = hn::MulAdd(first, hn::Sub(g, mv), mv);
    vv = hn::MulAdd(second, hn::MulSub(g, g, vv), vv);
    const auto update = hn::Div(mv, hn::MulAdd(hn::Sqrt(vv), hn::Set(d, inverse_root), eps));
    const auto w = hn::NegMulAdd(hn::Set(d, rate), update,
                                 hn::Mul(hn::LoadU(d, weight + i), hn::Set(d, keep)));
    hn::StoreU(mv, d, m + i);
    hn::StoreU(vv, d, v + i);
    hn::StoreU(w, d, weight + i);
  }
  for (; i < count; ++i) adamw_one(s, gradient[i], weight[i], m[i], v[i], keep, rate, inverse_root);
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(adamw_target);

void adamw(const AdamWStep& step, const float* gradient, int64_t count, float* weight, float* m,
           float* v) {
  HWY_DYNAMIC_DISPATCH(adamw_target)(step, gradient, count, weight, m, v);
}

// The order is fixed and does not depend on threads; a double cannot overflow here.
double sum_of_squares(const float* values, int64_t count) {
  std::array<double, 8> lanes{};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int l = 0; l < 8; ++l) {
      const double v = values[i + l];
      lanes[static_cast<size_t>(l)] += v * v;
    }
  }
  double sum = 0;
  for (; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE
