#pragma once
// Everything of the forward pass that is not a GEMM. Rows are padded with zeros to a multiple of 16 floats, and a
// sum over a row goes through 16 fixed partial sums, so results do not depend on the vector width. All functions
// are thread-safe on disjoint outputs; plain references for the tests are in reference.h.

#include <cstddef>
#include <span>

#include "rollout/number_format.h"

namespace longshot::rollout::cpu {

inline constexpr int kPage = 16;  // positions of one KV page

// out = x / sqrt(mean(x^2) + eps) * weight. Length n; all three arrays readable to the padded length.
void rms_norm(const float* x, const float* weight, int n, float eps, float* out);

// act = gate / (1 + exp(-gate)) * up over `n` floats, n a multiple of 16.
void silu_mul(const float* gate, const float* up, int n, float* act);

// Rotates one head in place, Hugging Face's split: the pair of element i is i + head_dim / 2.
// cos_sin: [head_dim / 2] cosines, then as many sines.
void rope(float* head, const float* cos_sin, int head_dim);

// One token: the query heads that share a KV head, at position length - 1. It sees positions [0, length).
struct AttentionRow {
  const float* q;  // [group][head_dim]
  float* out;      // [group][head_dim]
  int length;
  const std::byte* const* pages;  // page p holds positions [16 p, 16 p + 16)
};

// Attention of several tokens with one KV head. The first `shared` pages are the same for all of them and are read
// once for all. Bits of a row's result depend only on its query and on the cached values it sees.
struct Attention {
  std::span<const AttentionRow> rows;
  int shared;
  int group;  // query heads per KV head
  int head_dim;
  // Where they are in a page, in bytes; see KvShape.
  size_t k_offset;   // keys [head_dim][16]
  size_t v_offset;   // values [16][value_stride]
  int value_stride;  // head_dim rounded up to 16
  NumberFormat format = NumberFormat::f32;
  size_t scale_offset = 0;  // int8: scales of keys [16] and of values [16]
};
void attend(const Attention& a);

}  // namespace longshot::rollout::cpu
