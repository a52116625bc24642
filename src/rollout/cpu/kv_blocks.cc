#include "rollout/cpu/kv_blocks.h"

#include <algorithm>

namespace longshot::rollout::cpu {

float* KvBlocks::at(int block) {
  AlignedFloats& memory = storage_[block];
  if (memory.empty()) {
    memory = AlignedFloats(shape_.block_floats());
    bytes_ += static_cast<int64_t>(shape_.block_floats() * sizeof(float));
  }
  return memory.data();
}

void KvBlocks::copy(int from, int to) {
  std::copy_n(at(from), shape_.block_floats(), at(to));
}

}  // namespace longshot::rollout::cpu
