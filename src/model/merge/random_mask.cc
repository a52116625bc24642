#include "model/merge/random_mask.h"

#include "base/rng.h"

namespace longshot::model {

RandomMask::RandomMask(uint64_t seed, const std::string& tensor, uint64_t model, double density)
    : limit_(static_cast<uint64_t>(density * 4294967296.0)) {
  const uint64_t key = hash_combine(hash_combine(seed, hash64(tensor)), model);
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

bool RandomMask::keeps(uint64_t index) {
  const uint64_t block = index / 4;
  if (block != block_) {
    block_ = block;
    words_ =
        philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0}, key_);
  }
  return words_[index % 4] < limit_;
}

}  // namespace longshot::model
