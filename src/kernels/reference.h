#pragma once
// Plain versions of the CPU kernels, which the kernels are tested against. Sums are in double.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

namespace longshot::kernels::reference {

// y[m, n] = x[m, k] W[n, k]^T
inline std::vector<float> gemm(std::span<const float> x, std::span<const float> w, int m, int n,
                               int k) {
  std::vector<float> y(static_cast<size_t>(m) * n);
  for (int r = 0; r < m; ++r) {
    for (int c = 0; c < n; ++c) {
      double sum = 0;
      for (int i = 0; i < k; ++i) sum += static_cast<double>(x[r * k + i]) * w[c * k + i];
      y[r * n + c] = static_cast<float>(sum);
    }
  }
  return y;
}

inline std::vector<float> rms_norm(std::span<const float> x, std::span<const float> weight,
                                   double eps) {
  double squares = 0;
  for (const float v : x) squares += static_cast<double>(v) * v;
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + eps);
  std::vector<float> out;
  for (size_t i = 0; i < x.size(); ++i) out.push_back(static_cast<float>(x[i] * scale * weight[i]));
  return out;
}

inline float silu_mul(float gate, float up) {
  return static_cast<float>(gate / (1.0 + std::exp(-static_cast<double>(gate))) * up);
}

// PyTorch's gelu(gate, approximate="tanh") * up.
inline float gelu_mul(float gate, float up) {
  const double g = gate, inner = std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * g * g * g);
  return static_cast<float>(0.5 * g * (1 + std::tanh(inner)) * up);
}

inline std::vector<float> rope(std::span<const float> head, std::span<const float> cos,
                               std::span<const float> sin) {
  std::vector<float> out(head.size());
  const size_t half = head.size() / 2;
  for (size_t i = 0; i < half; ++i) {
    const double a = head[i], b = head[half + i];
    out[i] = static_cast<float>(a * cos[i] - b * sin[i]);
    out[half + i] = static_cast<float>(b * cos[i] + a * sin[i]);
  }
  return out;
}

// softmax(q K^T * scale) V of one query over keys and values [length, head_dim], with scores that
// become cap * tanh(score / cap) first. A scale of 0 is 1 / sqrt(d), a cap of 0 is none.
inline std::vector<float> attend(std::span<const float> q, std::span<const float> keys,
                                 std::span<const float> values, int length, double scale = 0,
                                 double cap = 0) {
  const size_t d = q.size();
  std::vector<double> scores(length), out(d, 0.0);
  for (int p = 0; p < length; ++p) {
    for (size_t e = 0; e < d; ++e) scores[p] += static_cast<double>(q[e]) * keys[p * d + e];
    scores[p] *= scale > 0 ? scale : 1 / std::sqrt(static_cast<double>(d));
    if (cap > 0) scores[p] = cap * std::tanh(scores[p] / cap);
  }
  const double max = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - max);
  for (int p = 0; p < length; ++p) {
    for (size_t e = 0; e < d; ++e) out[e] += scores[p] / sum * values[p * d + e];
  }
  return {out.begin(), out.end()};
}

}  // namespace longshot::kernels::reference
