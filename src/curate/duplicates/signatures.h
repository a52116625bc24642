#pragma once
// MinHash signatures of texts, as one key for each band.

#include <cstdint>
#include <string_view>
#include <vector>

#include "curate/duplicates/bands.h"

namespace longshot::curate {

// Thread-safe.
class Signatures {
 public:
  // `shingle`: words of a shingle. The hash functions follow from the seed.
  Signatures(const Bands& bands, int shingle, uint64_t seed);

  const Bands& bands() const { return bands_; }
  int shingle() const { return shingle_; }

  // keys[b] is a hash of the values of band b, [bands]. False if the text has no words: it is
  // similar to nothing.
  bool band_keys(std::string_view words, uint64_t* keys) const;

 private:
  Bands bands_;
  int shingle_;
  std::vector<uint32_t> seeds_, multipliers_;
};

}  // namespace longshot::curate
