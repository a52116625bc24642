#include "kernels/rows/row_ops.h"

#include <cmath>

#include "kernels/aligned.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rows/row_ops.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "kernels/rows/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kLane>;
using V = hn::Vec<D>;
constexpr int kN = static_cast<int>(hn::MaxLanes(D()));

void rms_norm_target(const float* x, const float* weight, int n, float eps, float* out) {
  const D d;
  const int padded = round_up(n, kLane);
  LaneSum squares;
  for (int i = 0; i < padded; i += kLane) squares.add_products(x + i, x + i);
  const float mean = squares.total() / static_cast<float>(n);
  const V scale = hn::Set(d, 1.0f / std::sqrt(mean + eps));
  for (int i = 0; i < padded; i += kN) {
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), scale), hn::LoadU(d, weight + i)), d, out + i);
  }
}

HWY_INLINE void silu_mul_vector(const float* gate, const float* up, float* act) {
  const D d;
  const V one = hn::Set(d, 1.0f), g = hn::LoadU(d, gate);
  const V sigmoid = hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(g))));
  hn::StoreU(hn::Mul(hn::Mul(g, sigmoid), hn::LoadU(d, up)), d, act);
}

void silu_mul_target(const float* gate, const float* up, int n, float* act) {
  for (int i = 0; i < n; i += kN) silu_mul_vector(gate + i, up + i, act + i);
}

void silu_mul_panels_target(const float* gate_up, int panels, float* act) {
  for (int p = 0; p < panels; ++p, gate_up += 2 * kLane, act += kLane) {
    for (int i = 0; i < kLane; i += kN) silu_mul_vector(gate_up + i, gate_up + kLane + i, act + i);
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

// With r = 1 / sqrt(mean(x^2) + eps) and g = dout * weight: dx = r * (g - x * r^2 * mean(g * x)).
void rms_norm_backward_target(const float* x, const float* weight, const float* dout, int n,
                              float eps, float* dx, float* dweight) {
  const D d;
  const int padded = round_up(n, kLane);
  LaneSum squares, products;
  for (int i = 0; i < padded; i += kLane) {
    squares.add_products(x + i, x + i);
    for (int v = 0; v < LaneSum::kVectors; ++v) {
      const int at = i + v * kN;
      products.add(v, hn::Mul(hn::Mul(hn::LoadU(d, dout + at), hn::LoadU(d, weight + at)),
                              hn::LoadU(d, x + at)));
    }
  }
  const float r = 1.0f / std::sqrt(squares.total() / static_cast<float>(n) + eps);
  const V scale = hn::Set(d, r),
          pull = hn::Set(d, r * r * products.total() / static_cast<float>(n));
  for (int i = 0; i < padded; i += kN) {
    const V xv = hn::LoadU(d, x + i), out = hn::LoadU(d, dout + i);
    const V g = hn::Mul(out, hn::LoadU(d, weight + i));
    hn::StoreU(hn::MulAdd(scale, hn::NegMulAdd(xv, pull, g), hn::LoadU(d, dx + i)), d, dx + i);
    hn::StoreU(hn::MulAdd(out, hn::Mul(xv, scale), hn::LoadU(d, dweight + i)), d, dweight + i);
  }
}

// act = gate * s * up with s = sigmoid(gate).
void silu_mul_backward_target(const float* gate, const float* up, int n, float* dact_to_act,
                              float* dgate, float* dup) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  for (int i = 0; i < n; i += kN) {
    const V g = hn::LoadU(d, gate + i), u = hn::LoadU(d, up + i),
            out = hn::LoadU(d, dact_to_act + i);
    const V s = hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(g))));
    const V silu = hn::Mul(g, s);
    const V slope = hn::Mul(s, hn::Add(one, hn::Sub(g, silu)));  // s * (1 + g * (1 - s))
    hn::StoreU(hn::Mul(silu, u), d, dact_to_act + i);
    hn::StoreU(hn::Mul(out, silu), d, dup + i);
    hn::StoreU(hn::Mul(hn::Mul(out, u), slope), d, dgate + i);
  }
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(rms_norm_target);
HWY_EXPORT(silu_mul_target);
HWY_EXPORT(silu_mul_panels_target);
HWY_EXPORT(rope_target);
HWY_EXPORT(rms_norm_backward_target);
HWY_EXPORT(silu_mul_backward_target);

void rms_norm(const float* x, const float* weight, int n, float eps, float* out) {
  HWY_DYNAMIC_DISPATCH(rms_norm_target)(x, weight, n, eps, out);
}
void silu_mul(const float* gate, const float* up, int n, float* act) {
  HWY_DYNAMIC_DISPATCH(silu_mul_target)(gate, up, n, act);
}
void silu_mul_panels(const float* gate_up, int panels, float* act) {
  HWY_DYNAMIC_DISPATCH(silu_mul_panels_target)(gate_up, panels, act);
}
void rope(float* head, const float* cos_sin, int head_dim) {
  HWY_DYNAMIC_DISPATCH(rope_target)(head, cos_sin, head_dim);
}

void rms_norm_backward(const float* x, const float* weight, const float* dout, int n, float eps,
                       float* dx, float* dweight) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward_target)(x, weight, dout, n, eps, dx, dweight);
}
void silu_mul_backward(const float* gate, const float* up, int n, float* dact_to_act, float* dgate,
                       float* dup) {
  HWY_DYNAMIC_DISPATCH(silu_mul_backward_target)(gate, up, n, dact_to_act, dgate, dup);
}
}  // namespace longshot::kernels
#endif  // HWY_ONCE
