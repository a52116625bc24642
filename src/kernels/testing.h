#pragma once
// Shared by the kernel tests: every instruction set in turn, random inputs, and the packed forms.

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <span>
#include <vector>

#include "base/rng.h"
#include "kernels/products/gemm.h"
#include "kernels/reference.h"

namespace longshot::kernels {

inline std::vector<float> random_floats(size_t n, uint64_t seed, double scale = 1.0) {
  CounterRng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(rng.next_normal() * scale);
  return out;
}

inline std::vector<float> rounded_to_bf16(std::span<const float> values) {
  std::vector<float> out;
  for (const float v : values) out.push_back(from_bf16(to_bf16(v)));
  return out;
}

inline double largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
    EXPECT_TRUE(std::isfinite(a[i]));
  }
  return largest;
}

// Every compiled instruction set that this CPU has: the parameter is a HWY_* target bit.
class Kernels : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { select(GetParam()); }
  void TearDown() override { select(0); }
  static void select(int64_t target) {
    // Most kernels are not compiled for VNNI; they use the AVX-512 code then.
    hwy::SetSupportedTargetsForTest(target == HWY_AVX3_DL ? target | HWY_AVX3 : target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  void report(const char* what, double difference) {
    printf("%-8s %-28s largest difference %.3g\n", hwy::TargetName(GetParam()), what, difference);
  }
  static bool fused() { return (GetParam() & (HWY_AVX2 | HWY_AVX3 | HWY_AVX3_DL)) != 0; }
};

inline std::vector<int64_t> targets() {
  std::vector<int64_t> out;
  for (const int64_t target : {static_cast<int64_t>(HWY_AVX3_DL), static_cast<int64_t>(HWY_AVX3),
                               static_cast<int64_t>(HWY_AVX2)}) {
    if (hwy::SupportedTargets() & target) out.push_back(target);
  }
  out.push_back(HWY_SCALAR);
  return out;
}

// One GEMM through the packed form; y has a row stride larger than n, whose gap must stay
// untouched.
inline std::vector<float> packed_gemm(std::span<const float> x, std::span<const float> w, int m,
                                      int n, int k, Store store = Store::set,
                                      std::span<const float> bias = {}) {
  PanelMatrix packed;
  packed.reset(n, k);
  packed.set_rows(0, n, w.data());
  if (!bias.empty()) packed.set_bias(0, bias);
  const int stride = n + 3;
  std::vector<float> y(static_cast<size_t>(m) * stride, 7.0f), out;
  gemm(packed, x.data(), k, m, y.data(), stride, 0, packed.panels(), store);
  for (int r = 0; r < m; ++r) {
    out.insert(out.end(), y.begin() + r * stride, y.begin() + r * stride + n);
    for (int gap = n; gap < stride; ++gap) EXPECT_EQ(y[r * stride + gap], 7.0f);
  }
  RowStrips strips;
  strips.reset(m, k, packed.format());
  for (int t = 0; t < strips.tiles(); ++t) strips.set_tile(t, x.data(), k);
  std::vector<float> again(y.size(), 7.0f);
  gemm(packed, strips, again.data(), stride, 0, packed.panels(), store);
  EXPECT_EQ(again, y) << "the order of the rows in memory changes no bit";
  return out;
}

}  // namespace longshot::kernels
