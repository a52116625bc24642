#pragma once
// The elements that DARE keeps (Yu et al., 2311.03099): each with the probability `density`,
// independently, as a pure function of the seed, the tensor's name, the place of the model in the
// list and the index of the element. Block sizes, shards and interruptions change nothing.

#include <array>
#include <cstdint>
#include <string>

namespace longshot::model {

class RandomMask {
 public:
  // Element i uses word i % 4 of the Philox block with the counter i / 4 and the key
  // hash_combine(hash_combine(seed, hash64(tensor)), model) (base/rng.h). It is kept if that word
  // is below density * 2^32.
  RandomMask(uint64_t seed, const std::string& tensor, uint64_t model, double density);

  // Fast for consecutive indices.
  bool keeps(uint64_t index);

 private:
  std::array<uint32_t, 2> key_;
  uint64_t limit_;          // density * 2^32
  uint64_t block_ = ~0ull;  // of words_
  std::array<uint32_t, 4> words_{};
};

}  // namespace longshot::model
