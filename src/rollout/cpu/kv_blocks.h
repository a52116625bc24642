#pragma once
// The memory of the KV blocks: 16 positions each, all layers. Taken when a block is first written to.
// Not thread-safe, except that different blocks may be read and written at once.

#include <cstdint>
#include <vector>

#include "rollout/cpu/aligned.h"
#include "rollout/cpu/kernels.h"

namespace longshot::rollout::cpu {

struct KvShape {
  int layers = 0, heads = 0, head_dim = 0;

  bool operator==(const KvShape&) const = default;
  int value_stride() const { return round_up(head_dim, kLane); }
  size_t key_floats() const { return static_cast<size_t>(head_dim) * kPage; }
  size_t value_floats() const { return static_cast<size_t>(value_stride()) * kPage; }
  size_t block_floats() const {
    return static_cast<size_t>(layers) * heads * (key_floats() + value_floats());
  }
  // Where a head's keys [head_dim][16] start in a block; its values [16][value_stride] follow them.
  size_t key_offset(int layer, int head) const {
    return (static_cast<size_t>(layer) * heads + head) * (key_floats() + value_floats());
  }
  size_t value_offset(int layer, int head) const { return key_offset(layer, head) + key_floats(); }
};

class KvBlocks {
 public:
  KvBlocks() = default;
  KvBlocks(const KvShape& shape, int blocks) : shape_(shape), storage_(blocks) {}

  const KvShape& shape() const { return shape_; }
  int64_t bytes() const { return bytes_; }
  void copy(int from, int to);
  float* at(int block);  // takes the memory if need be

 private:
  KvShape shape_;
  std::vector<AlignedFloats> storage_;  // by block
  int64_t bytes_ = 0;
};

}  // namespace longshot::rollout::cpu
