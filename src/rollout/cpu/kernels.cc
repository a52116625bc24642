#include "rollout/cpu/kernels.h"

#include <cmath>

#include "rollout/cpu/aligned.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "rollout/cpu/kernels.cc"
#include "rollout/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "rollout/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace longshot::rollout::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kLane>;
using V = hn::Vec<D>;
constexpr int kN = static_cast<int>(hn::MaxLanes(D()));

void rms_norm_target(const float* x, const float* weight, int n, float eps, float* out) {
  const D d;
  const int padded = round_up(n, kLane);
  rollout::HWY_NAMESPACE::LaneSum squares;
  for (int i = 0; i < padded; i += kLane) squares.add_products(x + i, x + i);
  const float mean = squares.total() / static_cast<float>(n);
  const V scale = hn::Set(d, 1.0f / std::sqrt(mean + eps));
  for (int i = 0; i < padded; i += kN) {
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), scale), hn::LoadU(d, weight + i)), d, out + i);
  }
}

void silu_mul_target(const float* gate, const float* up, int n, float* act) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  for (int i = 0; i < n; i += kN) {
    const V g = hn::LoadU(d, gate + i);
    const V sigmoid = hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(g))));
    hn::StoreU(hn::Mul(hn::Mul(g, sigmoid), hn::LoadU(d, up + i)), d, act + i);
  }
}

void rope_target(float* head, const float* cos_sin, int head_dim) {
  const hn::CappedTag<float, 8> d;
  const int half = head_dim / 2, step = static_cast<int>(hn::MaxLanes(d));
  const float *cos = cos_sin, *sin = cos_sin + half;
  int i = 0;
  for (; i + step <= half; i += step) {
    const auto a = hn::LoadU(d, head + i), b = hn::LoadU(d, head + half + i);
    const auto c = hn::LoadU(d, cos + i), s = hn::LoadU(d, sin + i);
    hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), d, head + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, head + half + i);
  }
  for (; i < half; ++i) {
    const float a = head[i], b = head[half + i];
    head[i] = std::fma(-b, sin[i], a * cos[i]);
    head[half + i] = std::fma(a, sin[i], b * cos[i]);
  }
}

}  // namespace longshot::rollout::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::rollout::cpu {

HWY_EXPORT(rms_norm_target);
HWY_EXPORT(silu_mul_target);
HWY_EXPORT(rope_target);

void rms_norm(const float* x, const float* weight, int n, float eps, float* out) {
  HWY_DYNAMIC_DISPATCH(rms_norm_target)(x, weight, n, eps, out);
}
void silu_mul(const float* gate, const float* up, int n, float* act) {
  HWY_DYNAMIC_DISPATCH(silu_mul_target)(gate, up, n, act);
}
void rope(float* head, const float* cos_sin, int head_dim) {
  HWY_DYNAMIC_DISPATCH(rope_target)(head, cos_sin, head_dim);
}

}  // namespace longshot::rollout::cpu
#endif  // HWY_ONCE
