#include <gtest/gtest.h>

#include <numbers>

#include "kernels/rows/adamw.h"
#include "kernels/rows/row_ops.h"
#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

class RowGradients : public Kernels {};
INSTANTIATE_TEST_SUITE_P(EveryTarget, RowGradients, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

// Against the closed forms in double: y_i = x_i w_i r with r = (mean x^2 + eps)^-1/2.
TEST_P(RowGradients, RmsNorm) {
  double worst = 0;
  for (const int n : {1, 12, 72, 576}) {
    auto x = random_floats(n, 1), w = random_floats(n, 2), g = random_floats(n, 3);
    double squares = 0, products = 0;
    for (int i = 0; i < n; ++i) {
      squares += static_cast<double>(x[i]) * x[i];
      products += static_cast<double>(g[i]) * w[i] * x[i];
    }
    const double r = 1 / std::sqrt(squares / n + 1e-5);
    std::vector<float> expected_dx, expected_dw;
    for (int i = 0; i < n; ++i) {
      expected_dx.push_back(
          static_cast<float>(2 + r * g[i] * w[i] - r * r * r * x[i] * products / n));
      expected_dw.push_back(static_cast<float>(3 + g[i] * x[i] * r));
    }
    const int padded = round_up(n, kLane);
    for (auto* v : {&x, &w, &g}) v->resize(padded, 0.0f);
    std::vector<float> dx(padded, 2.0f), dw(padded, 3.0f);
    rms_norm_backward(x.data(), w.data(), g.data(), n, 1e-5f, dx.data(), dw.data());
    dx.resize(n);
    dw.resize(n);
    worst =
        std::max({worst, largest_difference(dx, expected_dx), largest_difference(dw, expected_dw)});
  }
  report("rms_norm_backward", worst);
  EXPECT_LT(worst, 5e-6);
}

TEST_P(RowGradients, SiluMul) {
  const int n = 64;
  auto gate = random_floats(n, 1, 4.0);
  const auto up = random_floats(n, 2), g = random_floats(n, 3);
  gate[0] = -100, gate[1] = 100, gate[2] = 0, gate[3] = -300, gate[4] = -1000;
  std::vector<float> dgate(n), dup(n), expected_dgate, expected_dup;
  for (int i = 0; i < n; ++i) {
    const double s = 1 / (1 + std::exp(-static_cast<double>(gate[i])));
    expected_dup.push_back(static_cast<float>(g[i] * gate[i] * s));
    expected_dgate.push_back(
        static_cast<float>(static_cast<double>(g[i]) * up[i] * s * (1 + gate[i] * (1 - s))));
  }
  std::vector<float> act(n), dact_to_act = g;
  gate_mul(Gate::silu, gate.data(), up.data(), n, act.data());
  gate_mul_backward(Gate::silu, gate.data(), up.data(), n, dact_to_act.data(), dgate.data(),
                    dup.data());
  EXPECT_EQ(dact_to_act, act);
  const double worst =
      std::max(largest_difference(dgate, expected_dgate), largest_difference(dup, expected_dup));
  report("silu_mul_backward", worst);
  EXPECT_LT(worst, 1e-5);
}

// Against differences of the reference, in steps of 1e-4.
TEST_P(RowGradients, GeluMul) {
  const int n = 64;
  auto gate = random_floats(n, 1, 2.0);
  const auto up = random_floats(n, 2), g = random_floats(n, 3);
  gate[0] = -100, gate[1] = 100, gate[2] = 0, gate[3] = -300, gate[4] = -1000;
  const auto gelu = [](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  };
  std::vector<float> dgate(n), dup(n), act(n), dact_to_act = g, expected_dgate, expected_dup;
  for (int i = 0; i < n; ++i) {
    const double x = gate[i], slope = (gelu(x + 1e-4) - gelu(x - 1e-4)) / 2e-4;
    expected_dup.push_back(static_cast<float>(g[i] * gelu(x)));
    expected_dgate.push_back(static_cast<float>(g[i] * up[i] * slope));
  }
  gate_mul(Gate::gelu_tanh, gate.data(), up.data(), n, act.data());
  gate_mul_backward(Gate::gelu_tanh, gate.data(), up.data(), n, dact_to_act.data(), dgate.data(),
                    dup.data());
  EXPECT_EQ(dact_to_act, act);
  const double worst =
      std::max(largest_difference(dgate, expected_dgate), largest_difference(dup, expected_dup));
  report("gelu_mul_backward", worst);
  EXPECT_LT(worst, 2e-5);
}

// By hand: g = 2 scaled by 0.5, first step, weight 1: m = 0.1, v = 0.05, corrected 1 and 1, so
// w = 1 (1 - 0.1 * 0.2) - 0.1.
TEST_P(RowGradients, AdamWByHandAndForAnyLength) {
  const AdamWStep step{.lr = 0.1F,
                       .decay = 0.2F,
                       .gradient_scale = 0.5F,
                       .correction1 = 0.1F,
                       .root_correction2 = std::sqrt(0.05F)};
  for (const int n : {1, 7, 16, 37}) {
    const std::vector<float> g(n, 2.0f);
    std::vector<float> w(n, 1.0f), m(n, 0.0f), v(n, 0.0f);
    adamw(step, g.data(), n, w.data(), m.data(), v.data());
    for (int i = 0; i < n; ++i) {
      EXPECT_NEAR(w[i], 0.88f, 1e-6);
      EXPECT_NEAR(m[i], 0.1f, 1e-7);
      EXPECT_NEAR(v[i], 0.05f, 1e-7);
      EXPECT_TRUE(!fused() || w[i] == w[0]) << "the tail has the bits of the vectors";
    }
  }
}

}  // namespace
}  // namespace longshot::kernels
