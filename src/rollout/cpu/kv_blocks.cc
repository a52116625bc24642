#include "rollout/cpu/kv_blocks.h"

#include <algorithm>
#include <cmath>

#include "kernels/products/panel_matrix.h"

namespace longshot::rollout::cpu {
namespace {

// out[i * stride] = values[i] / scale, rounded. Returns the scale.
float quantize(const float* values, int n, size_t stride, int8_t* out) {
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = std::max(largest, std::abs(values[i]));
  const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  for (int i = 0; i < n; ++i)
    out[i * stride] = static_cast<int8_t>(std::nearbyint(values[i] * inverse));
  return largest / 127.0f;
}

}  // namespace

void store_kv(const KvShape& shape, int layer, int head, int position, const float* key,
              const float* value, std::byte* block) {
  std::byte* keys = block + shape.key_offset(layer, head);
  std::byte* values = block + shape.value_offset(layer, head);
  const int n = shape.head_dim;
  const size_t row = static_cast<size_t>(position) * shape.value_stride();
  if (shape.format == NumberFormat::f32) {
    auto* k = reinterpret_cast<float*>(keys) + position;
    for (int e = 0; e < n; ++e) k[e * kPage] = key[e];
    std::copy_n(value, n, reinterpret_cast<float*>(values) + row);
  } else if (shape.format == NumberFormat::bf16) {
    auto* k = reinterpret_cast<uint16_t*>(keys) + position;
    auto* v = reinterpret_cast<uint16_t*>(values) + row;
    for (int e = 0; e < n; ++e) k[e * kPage] = kernels::to_bf16(key[e]);
    for (int e = 0; e < n; ++e) v[e] = kernels::to_bf16(value[e]);
  } else {
    auto* scales = reinterpret_cast<float*>(block + shape.scale_offset(layer, head)) + position;
    scales[0] = quantize(key, n, kPage, reinterpret_cast<int8_t*>(keys) + position);
    scales[kPage] = quantize(value, n, 1, reinterpret_cast<int8_t*>(values) + row);
  }
}

KvBlocks::KvBlocks(const KvShape& shape, int blocks) : shape_(shape), places_(blocks) {
  constexpr size_t kSlab = 4 * kernels::kHugePage;
  slab_blocks_ = static_cast<int>(std::clamp<size_t>(kSlab / shape.block_bytes(), 1, 64));
  next_in_slab_ = slab_blocks_;
}

void KvBlocks::take_slab() {
  slabs_.emplace_back(slab_blocks_ * shape_.block_bytes());
  bytes_ += static_cast<int64_t>(slabs_.back().size());
  next_in_slab_ = 0;
}

std::byte* KvBlocks::at(int block) {
  std::byte*& place = places_[block];
  if (place == nullptr) {
    if (next_in_slab_ == slab_blocks_) take_slab();
    place = slabs_.back().data() + next_in_slab_++ * shape_.block_bytes();
  }
  return place;
}

void KvBlocks::copy(int from, int to) {
  std::copy_n(at(from), shape_.block_bytes(), at(to));
}

}  // namespace longshot::rollout::cpu
