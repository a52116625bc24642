#pragma once
// Attention over the paged KV cache. Thread-safe on disjoint outputs.

#include <cstddef>
#include <span>

#include "base/number_format.h"

namespace longshot::rollout::cpu {

inline constexpr int kPage = 16;  // positions of one KV page

// One token: the query heads that share a KV head, at position length - 1. It sees positions
// [first, length).
struct AttentionRow {
  const float* q;  // [group][head_dim]
  float* out;      // [group][head_dim]
  int first, length;
  const std::byte* const* pages;  // page p holds positions [16 p, 16 p + 16)
};

// Attention of several tokens with one KV head. The first `shared` pages are the same for all of
// them and are read once for all. The bits of a row's result depend only on its query and on the
// cached values it sees. Pages that no row sees are not read.
struct Attention {
  std::span<const AttentionRow> rows;
  int shared;
  int group;  // query heads per KV head
  int head_dim;
  float scale;    // of the scores
  float cap = 0;  // scaled scores become cap * tanh(score / cap); 0: they stay
  // Offsets in a page, in bytes; see KvShape.
  size_t k_offset;   // keys [head_dim][16]
  size_t v_offset;   // values [16][value_stride]
  int value_stride;  // head_dim rounded up to 16
  NumberFormat format = NumberFormat::f32;
  size_t scale_offset = 0;  // int8: scales of keys [16] and of values [16]
};
void attend(const Attention& a);

}  // namespace longshot::rollout::cpu
