#pragma once
// What the kernel tests share: every instruction set in turn, random inputs, and the packed forms.

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
#include "rollout/cpu/gemm.h"
#include "rollout/cpu/kernels.h"
#include "rollout/cpu/kv_blocks.h"
#include "rollout/cpu/reference.h"

namespace longshot::rollout::cpu {

inline std::vector<float> random_floats(size_t n, uint64_t seed, double scale = 1.0) {
  CounterRng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(rng.next_normal() * scale);
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
    // Most kernels are not compiled for VNNI: they take the AVX-512 code then.
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

// One GEMM through the packed form; y has a row stride larger than n, whose gap must stay untouched.
inline std::vector<float> packed_gemm(std::span<const float> x, std::span<const float> w, int m, int n,
                               int k, Store store = Store::set, std::span<const float> bias = {}) {
  PackedMatrix packed;
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
  return out;
}

// A cache of one layer and head, filled with random keys and values; memory beyond them is NaN (f32).
struct AttentionCase {
  AttentionCase(int head_dim_in, int length, NumberFormat format = NumberFormat::f32)
      : head_dim(head_dim_in), blocks({1, 1, head_dim_in, format}, (length + kPage - 1) / kPage) {
    keys = random_floats(length * head_dim, 9);
    values = random_floats(length * head_dim, 10);
    const KvShape& shape = blocks.shape();
    for (int page = 0; page * kPage < length; ++page) {
      pages.push_back(blocks.at(page));
      if (format == NumberFormat::f32)
        std::fill_n(reinterpret_cast<float*>(blocks.at(page)), shape.block_bytes() / sizeof(float),
                    std::nanf(""));
    }
    for (int p = 0; p < length; ++p) {
      store_kv(shape, 0, 0, p % kPage, keys.data() + p * head_dim, values.data() + p * head_dim,
               blocks.at(p / kPage));
    }
  }
  // Rows at consecutive positions; the first `shared` pages are declared common.
  std::vector<float> run(std::span<const float> q, int rows, int position, int group,
                         int shared = 1000) {
    std::vector<float> out(q.size());
    const size_t stride = static_cast<size_t>(group) * head_dim;
    std::vector<AttentionRow> list;
    for (int r = 0; r < rows; ++r) {
      list.push_back(
          {q.data() + r * stride, out.data() + r * stride, position + r + 1, pages.data()});
    }
    const int needed = round_up(position + rows, kPage) / kPage;
    const KvShape& shape = blocks.shape();
    attend({list, std::min(shared, needed), group, head_dim, shape.key_offset(0, 0),
            shape.value_offset(0, 0), shape.value_stride(), shape.format,
            shape.scale_offset(0, 0)});
    return out;
  }
  int head_dim;
  KvBlocks blocks;
  std::vector<const std::byte*> pages;
  std::vector<float> keys, values;
};

}  // namespace longshot::rollout::cpu
