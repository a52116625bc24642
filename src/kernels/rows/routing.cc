#include "kernels/rows/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace longshot::kernels {
namespace {

void softmax(const float* logits, int n, float* out) {
  const float highest = *std::max_element(logits, logits + n);
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += out[i] = std::exp(logits[i] - highest);
  for (int i = 0; i < n; ++i) out[i] /= sum;
}

std::vector<int32_t> experts_of_entries(const Routing& routing) {
  std::vector<int32_t> expert(routing.token.size());
  for (size_t e = 0; e + 1 < routing.begin.size(); ++e)
    std::fill(expert.begin() + routing.begin[e], expert.begin() + routing.begin[e + 1],
              static_cast<int32_t>(e));
  return expert;
}

}  // namespace

int64_t Routing::bytes() const {
  return static_cast<int64_t>(begin.size() * sizeof(int64_t) +
                              (token.size() + entry.size()) * sizeof(int32_t) +
                              (weight.size() + probability.size()) * sizeof(float));
}

Routing route(const ExpertChoice& experts, ConstRows logits, int64_t rows) {
  const int n = experts.experts, k = experts.per_token;
  Routing routing;
  routing.probability.resize(rows * n);
  std::vector<int32_t> chosen(rows * k), order(n);
  routing.begin.assign(n + 1, 0);
  for (int64_t r = 0; r < rows; ++r) {
    float* p = routing.probability.data() + r * n;
    softmax(logits.row(r), n, p);
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(),
                      [&](int32_t a, int32_t b) { return p[a] > p[b] || (p[a] == p[b] && a < b); });
    std::sort(order.begin(), order.begin() + k);
    std::copy_n(order.begin(), k, chosen.begin() + r * k);
    for (int i = 0; i < k; ++i) ++routing.begin[order[i] + 1];
  }
  std::partial_sum(routing.begin.begin(), routing.begin.end(), routing.begin.begin());
  routing.token.resize(rows * k);
  routing.weight.resize(rows * k);
  routing.entry.resize(rows * k);
  std::vector<int64_t> next(routing.begin.begin(), routing.begin.end() - 1);
  for (int64_t r = 0; r < rows; ++r) {
    const float* p = routing.probability.data() + r * n;
    float sum = 0;
    for (int i = 0; i < k; ++i) sum += p[chosen[r * k + i]];
    for (int i = 0; i < k; ++i) {
      const int32_t expert = chosen[r * k + i];
      const int64_t entry = next[expert]++;
      routing.token[entry] = static_cast<int32_t>(r);
      routing.weight[entry] = experts.normalized ? p[expert] / sum : p[expert];
      routing.entry[r * k + i] = static_cast<int32_t>(entry);
    }
  }
  return routing;
}

// With p = softmax(logits), s the sum of the chosen p, and w = p / s or p of the chosen:
// dp = (dw - sum(dw w)) / s, or dw; dlogits = p (dp - sum(dp p)), where dp of the others is 0.
void route_backward(const ExpertChoice& experts, const Routing& routing,
                    std::span<const float> dweights, int64_t rows, Rows dlogits) {
  const int n = experts.experts, k = experts.per_token;
  const std::vector<int32_t> expert_of = experts_of_entries(routing);
  std::vector<float> dp(k);
  for (int64_t r = 0; r < rows; ++r) {
    const float* p = routing.probability.data() + r * n;
    const int32_t* entry = routing.entry.data() + r * k;
    float sum = 0, mean = 0, weighted = 0;
    for (int i = 0; i < k; ++i) {
      sum += p[expert_of[entry[i]]];
      mean += dweights[entry[i]] * routing.weight[entry[i]];
    }
    for (int i = 0; i < k; ++i) {
      const float dw = dweights[entry[i]];
      dp[i] = experts.normalized ? (dw - mean) / sum : dw;
      weighted += dp[i] * p[expert_of[entry[i]]];
    }
    float* out = dlogits.row(r);
    for (int e = 0; e < n; ++e) out[e] = -p[e] * weighted;
    for (int i = 0; i < k; ++i) out[expert_of[entry[i]]] += p[expert_of[entry[i]]] * dp[i];
  }
}

}  // namespace longshot::kernels
