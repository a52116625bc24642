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

// z with f(g) = g * sigmoid(z): g for silu. For gelu_tanh it is 2 sqrt(2 / pi) (g + 0.044715 g^3),
// because (1 + tanh(u)) / 2 = sigmoid(2 u). Exp() is wrong for large arguments, so z has a limit,
// below which the sigmoid is 0 in f32.
constexpr float kGelu = 1.5957691216057308f, kCube = 0.044715f, kLeast = -110.0f;

template <Gate kGate>
HWY_INLINE V gate_argument(V g) {
  const D d;
  if constexpr (kGate == Gate::silu) return hn::Max(g, hn::Set(d, kLeast));
  const V inner = hn::MulAdd(hn::Mul(g, g), hn::Set(d, kCube), hn::Set(d, 1.0f));
  return hn::Max(hn::Mul(hn::Mul(g, inner), hn::Set(d, kGelu)), hn::Set(d, kLeast));
}

template <Gate kGate>
HWY_INLINE V gate_sigmoid(V g) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(gate_argument<kGate>(g)))));
}

template <Gate kGate>
HWY_INLINE void gate_mul_vector(const float* gate, const float* up, float* act) {
  const D d;
  const V g = hn::LoadU(d, gate);
  hn::StoreU(hn::Mul(hn::Mul(g, gate_sigmoid<kGate>(g)), hn::LoadU(d, up)), d, act);
}

template <Gate kGate>
void gate_mul_of(const float* gate, const float* up, int n, float* act) {
  for (int i = 0; i < n; i += kN) gate_mul_vector<kGate>(gate + i, up + i, act + i);
}
void gate_mul_target(Gate kind, const float* gate, const float* up, int n, float* act) {
  if (kind == Gate::silu) return gate_mul_of<Gate::silu>(gate, up, n, act);
  gate_mul_of<Gate::gelu_tanh>(gate, up, n, act);
}

template <Gate kGate>
void gate_mul_panels_of(const float* gate_up, int panels, float* act) {
  for (int p = 0; p < panels; ++p, gate_up += 2 * kLane, act += kLane) {
    for (int i = 0; i < kLane; i += kN)
      gate_mul_vector<kGate>(gate_up + i, gate_up + kLane + i, act + i);
  }
}
void gate_mul_panels_target(Gate kind, const float* gate_up, int panels, float* act) {
  if (kind == Gate::silu) return gate_mul_panels_of<Gate::silu>(gate_up, panels, act);
  gate_mul_panels_of<Gate::gelu_tanh>(gate_up, panels, act);
}

void soft_cap_target(float* x, int n, float scale, float cap) {
  const D d;
  const V slope = hn::Set(d, scale / cap), top = hn::Set(d, cap);
  const auto capped = [&](float* at) {
    hn::StoreU(hn::Mul(top, hn::Tanh(d, hn::Mul(hn::LoadU(d, at), slope))), d, at);
  };
  int i = 0;
  for (; i + kN <= n; i += kN) capped(x + i);
  float rest[kN] = {};
  for (int k = 0; i + k < n; ++k) rest[k] = x[i + k];
  capped(rest);
  for (int k = 0; i + k < n; ++k) x[i + k] = rest[k];
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

void rope_pairs_target(float* head, const float* cos_sin, int head_dim) {
  const float *cos = cos_sin, *sin = cos_sin + head_dim / 2;
  for (int i = 0; i < head_dim / 2; ++i) {
    const float a = head[2 * i], b = head[2 * i + 1];
    head[2 * i] = std::fma(-b, sin[i], a * cos[i]);
    head[2 * i + 1] = std::fma(a, sin[i], b * cos[i]);
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

// act = gate * s * up with s = sigmoid(z(gate)); its slope is s + gate * z' * s * (1 - s), which is
// s * (1 + g * (1 - s)) for silu.
template <Gate kGate>
HWY_INLINE V gate_slope(V g, V s, V activated) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  if constexpr (kGate == Gate::silu) return hn::Mul(s, hn::Add(one, hn::Sub(g, activated)));
  const V slope =
      hn::Mul(hn::MulAdd(hn::Mul(g, g), hn::Set(d, 3 * kCube), one), hn::Set(d, kGelu));  // z'
  return hn::Mul(s, hn::MulAdd(hn::Mul(g, slope), hn::Sub(one, s), one));
}

template <Gate kGate>
void gate_mul_backward_of(const float* gate, const float* up, int n, float* dact_to_act,
                          float* dgate, float* dup) {
  const D d;
  for (int i = 0; i < n; i += kN) {
    const V g = hn::LoadU(d, gate + i), u = hn::LoadU(d, up + i),
            out = hn::LoadU(d, dact_to_act + i);
    const V s = gate_sigmoid<kGate>(g);
    const V activated = hn::Mul(g, s);
    const V slope = gate_slope<kGate>(g, s, activated);
    hn::StoreU(hn::Mul(activated, u), d, dact_to_act + i);
    hn::StoreU(hn::Mul(out, activated), d, dup + i);
    hn::StoreU(hn::Mul(hn::Mul(out, u), slope), d, dgate + i);
  }
}
void gate_mul_backward_target(Gate kind, const float* gate, const float* up, int n,
                              float* dact_to_act, float* dgate, float* dup) {
  if (kind == Gate::silu)
    return gate_mul_backward_of<Gate::silu>(gate, up, n, dact_to_act, dgate, dup);
  gate_mul_backward_of<Gate::gelu_tanh>(gate, up, n, dact_to_act, dgate, dup);
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(rms_norm_target);
HWY_EXPORT(gate_mul_target);
HWY_EXPORT(gate_mul_panels_target);
HWY_EXPORT(soft_cap_target);
HWY_EXPORT(rope_target);
HWY_EXPORT(rope_pairs_target);
HWY_EXPORT(rms_norm_backward_target);
HWY_EXPORT(gate_mul_backward_target);

void rms_norm(const float* x, const float* weight, int n, float eps, float* out) {
  HWY_DYNAMIC_DISPATCH(rms_norm_target)(x, weight, n, eps, out);
}
void gate_mul(Gate kind, const float* gate, const float* up, int n, float* act) {
  HWY_DYNAMIC_DISPATCH(gate_mul_target)(kind, gate, up, n, act);
}
void gate_mul_panels(Gate kind, const float* gate_up, int panels, float* act) {
  HWY_DYNAMIC_DISPATCH(gate_mul_panels_target)(kind, gate_up, panels, act);
}
void soft_cap(float* x, int n, float scale, float cap) {
  HWY_DYNAMIC_DISPATCH(soft_cap_target)(x, n, scale, cap);
}
void rope(float* head, const float* cos_sin, int head_dim) {
  HWY_DYNAMIC_DISPATCH(rope_target)(head, cos_sin, head_dim);
}
void rope_pairs(float* head, const float* cos_sin, int head_dim) {
  HWY_DYNAMIC_DISPATCH(rope_pairs_target)(head, cos_sin, head_dim);
}

void rms_norm_backward(const float* x, const float* weight, const float* dout, int n, float eps,
                       float* dx, float* dweight) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward_target)(x, weight, dout, n, eps, dx, dweight);
}
void gate_mul_backward(Gate kind, const float* gate, const float* up, int n, float* dact_to_act,
                       float* dgate, float* dup) {
  HWY_DYNAMIC_DISPATCH(gate_mul_backward_target)(kind, gate, up, n, dact_to_act, dgate, dup);
}
}  // namespace longshot::kernels
#endif  // HWY_ONCE
