#pragma once
// The memory of the KV blocks: 16 positions each, all layers. It is allocated a few blocks at a
// time, when a block is first used; new memory is zero. Not thread-safe, except that different
// blocks may be read and written at once.

#include <cstdint>
#include <vector>

#include "base/number_format.h"
#include "kernels/aligned.h"
#include "rollout/cpu/attention.h"

namespace longshot::rollout::cpu {

using kernels::AlignedBytes;
using kernels::kLane;
using kernels::round_up;

// For each layer and head, a block stores, one after the other and each on a cache line: keys
// [head_dim][16], values [16][value_stride], and in the format int8 the scales of the keys [16] and
// of the values [16], f32.
struct KvShape {
  int layers = 0, heads = 0, head_dim = 0;
  NumberFormat format = NumberFormat::f32;  // f32, bf16 or int8

  bool operator==(const KvShape&) const = default;
  int value_stride() const { return round_up(head_dim, kLane); }
  size_t element_bytes() const {
    return format == NumberFormat::f32 ? 4 : format == NumberFormat::bf16 ? 2 : 1;
  }
  size_t key_bytes() const { return line(head_dim * kPage * element_bytes()); }
  size_t value_bytes() const { return line(value_stride() * kPage * element_bytes()); }
  size_t scale_bytes() const {
    return format == NumberFormat::int8 ? 2 * kPage * sizeof(float) : 0;
  }
  size_t head_bytes() const { return key_bytes() + value_bytes() + scale_bytes(); }
  size_t block_bytes() const { return static_cast<size_t>(layers) * heads * head_bytes(); }

  size_t key_offset(int layer, int head) const {
    return (static_cast<size_t>(layer) * heads + head) * head_bytes();
  }
  size_t value_offset(int layer, int head) const { return key_offset(layer, head) + key_bytes(); }
  size_t scale_offset(int layer, int head) const {
    return value_offset(layer, head) + value_bytes();
  }

 private:
  static size_t line(size_t bytes) { return (bytes + 63) / 64 * 64; }
};

// Writes the key and value [head_dim] of one position (0 to 15 of its block).
void store_kv(const KvShape& shape, int layer, int head, int position, const float* key,
              const float* value, std::byte* block);

class KvBlocks {
 public:
  KvBlocks() = default;
  KvBlocks(const KvShape& shape, int blocks);

  const KvShape& shape() const { return shape_; }
  int64_t bytes() const { return bytes_; }
  void copy(int from, int to);
  std::byte* at(int block);  // allocates the memory at first use

 private:
  void take_slab();

  KvShape shape_;
  int slab_blocks_ = 0;
  std::vector<AlignedBytes> slabs_;
  std::vector<std::byte*> places_;  // by block; null: no memory yet
  int next_in_slab_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace longshot::rollout::cpu
