#include "curate/text/shingles.h"

#include <algorithm>

#include "base/rng.h"

namespace longshot::curate {
namespace {

constexpr uint64_t kBase = 0x9e3779b97f4a7c15ULL;  // odd: powers of it never vanish modulo 2^64

// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
uint64_t mixed(uint64_t v) {
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ULL;
  v = (v ^ (v >> 27)) * 0x94d049bb133111ebULL;
  return v ^ (v >> 31);
}

}  // namespace

void hash_words(std::string_view words, std::vector<uint64_t>& hashes) {
  hashes.clear();
  for (size_t at = 0; at < words.size();) {
    const size_t end = std::min(words.find(' ', at), words.size());
    hashes.push_back(hash64(words.substr(at, end - at)));
    at = end + 1;
  }
}

// A polynomial over the hashes of the words, updated from one run to the next.
void hash_runs(const std::vector<uint64_t>& words, int n, std::vector<uint64_t>& runs) {
  runs.clear();
  const auto length = static_cast<size_t>(n);
  if (words.size() < length) return;
  runs.reserve(words.size() - length + 1);
  uint64_t sum = 0, first_power = 1;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i >= length) sum -= words[i - length] * first_power;
    sum = sum * kBase + words[i];
    if (i + 1 < length) first_power *= kBase;
    if (i + 1 >= length) runs.push_back(mixed(sum + static_cast<uint64_t>(n)));
  }
}

void shingle_set(std::string_view words, int n, std::vector<uint64_t>& set) {
  thread_local std::vector<uint64_t> hashes;
  hash_words(words, hashes);
  const int length = std::min(n, static_cast<int>(hashes.size()));
  if (length == 0) return set.clear();
  hash_runs(hashes, length, set);
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
}

double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  if (a.empty() && b.empty()) return 0;
  size_t shared = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const bool less = a[i] < b[j], greater = b[j] < a[i];
    shared += !less && !greater;
    i += !greater;
    j += !less;
  }
  return static_cast<double>(shared) / static_cast<double>(a.size() + b.size() - shared);
}

bool sizes_allow(size_t a, size_t b, double threshold) {
  const auto [low, high] = std::minmax(a, b);
  return static_cast<double>(low) >= threshold * static_cast<double>(high);
}

}  // namespace longshot::curate
