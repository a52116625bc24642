#pragma once
// A small KV cache with queries, for tests.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "kernels/testing.h"
#include "rollout/cpu/attention.h"
#include "rollout/cpu/kv_blocks.h"

namespace longshot::rollout::cpu {

using kernels::largest_difference;
using kernels::random_floats;

// A cache of one layer and head, filled with random keys and values; memory beyond them is NaN
// (f32).
struct AttentionCase {
  AttentionCase(int head_dim_in, int length, NumberFormat format = NumberFormat::f32)
      : head_dim(head_dim_in),
        scale(1 / std::sqrt(static_cast<float>(head_dim_in))),
        blocks({1, 1, head_dim_in, format}, (length + kPage - 1) / kPage) {
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
  // Attention of rows at consecutive positions, which see the last `window` positions; the first
  // `shared` pages are declared common.
  std::vector<float> run(std::span<const float> q, int rows, int position, int group,
                         int shared = 1000, int window = 1 << 20) {
    std::vector<float> out(q.size());
    const size_t stride = static_cast<size_t>(group) * head_dim;
    std::vector<AttentionRow> list;
    for (int r = 0; r < rows; ++r) {
      list.push_back({q.data() + r * stride, out.data() + r * stride,
                      std::max(0, position + r + 1 - window), position + r + 1, pages.data()});
    }
    const int needed = round_up(position + rows, kPage) / kPage;
    const KvShape& shape = blocks.shape();
    attend({list, std::min(shared, needed), group, head_dim, scale, cap, shape.key_offset(0, 0),
            shape.value_offset(0, 0), shape.value_stride(), shape.format,
            shape.scale_offset(0, 0)});
    return out;
  }
  int head_dim;
  float scale, cap = 0;
  KvBlocks blocks;
  std::vector<const std::byte*> pages;
  std::vector<float> keys, values;
};

}  // namespace longshot::rollout::cpu
