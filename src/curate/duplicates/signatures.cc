#include "curate/duplicates/signatures.h"

#include <algorithm>

#include "base/rng.h"
#include "curate/text/shingles.h"
#include "kernels/hashing/minhash.h"

namespace longshot::curate {
namespace {

// The lower halves of the hashes of all shingles, repeated ones included: they do not change a
// minimum.
void short_hashes(std::string_view words, int shingle, std::vector<uint32_t>& out) {
  thread_local std::vector<uint64_t> hashes, runs;
  hash_words(words, hashes);
  out.clear();
  if (hashes.empty()) return;
  hash_runs(hashes, std::min(shingle, static_cast<int>(hashes.size())), runs);
  for (const uint64_t run : runs) out.push_back(static_cast<uint32_t>(run));
}

}  // namespace

Signatures::Signatures(const Bands& bands, int shingle, uint64_t seed)
    : bands_(bands), shingle_(shingle) {
  const int group = kernels::kMinHashGroup;
  const int padded = (bands.functions() + group - 1) / group * group;
  CounterRng rng(hash_combine(seed, hash64("curate/minhash")));
  for (int f = 0; f < padded; ++f) {
    const uint64_t draw = rng.next_u64();
    seeds_.push_back(static_cast<uint32_t>(draw));
    multipliers_.push_back(static_cast<uint32_t>(draw >> 32) | 1U);
  }
}

bool Signatures::band_keys(std::string_view words, uint64_t* keys) const {
  thread_local std::vector<uint32_t> values, lowest;
  short_hashes(words, shingle_, values);
  if (values.empty()) return false;
  lowest.resize(seeds_.size());
  kernels::min_hashes(values.data(), static_cast<int64_t>(values.size()), seeds_.data(),
                      multipliers_.data(), static_cast<int>(seeds_.size()), lowest.data());
  const auto rows = static_cast<size_t>(bands_.rows);
  for (size_t band = 0; band < static_cast<size_t>(bands_.bands); ++band) {
    const auto* first = reinterpret_cast<const char*>(lowest.data() + band * rows);
    keys[band] = hash64(std::string_view(first, rows * sizeof(uint32_t)));
  }
  return true;
}

}  // namespace longshot::curate
