#include "curate/duplicates/pair_checker.h"

#include <algorithm>

#include "base/rng.h"
#include "curate/text/shingles.h"

namespace longshot::curate {
namespace {

constexpr size_t kRefusedPairs = size_t{1} << 20;
constexpr size_t kLoaded = 64;
// Similarities are quotients of integers, so a threshold such as 0.8 must not fail by rounding.
constexpr double kRounding = 1e-9;

uint64_t pair_key(uint32_t a, uint32_t b) {
  const auto [low, high] = std::minmax(a, b);
  return (static_cast<uint64_t>(low) << 32) | high;
}

}  // namespace

PairChecker::PairChecker(const LineFile& words, int shingle, double threshold)
    : words_(words),
      shingle_(shingle),
      threshold_(threshold),
      components_(words.lines()),
      refused_(kRefusedPairs, 0),
      loaded_(kLoaded) {}

Result<const PairChecker::Shingles*> PairChecker::load(uint32_t row) {
  for (const Loaded& entry : loaded_) {
    if (entry.used && entry.row == row) return &entry.shingles;
  }
  Loaded& entry = loaded_[next_slot_++ % loaded_.size()];
  entry.used = false;
  LS_RETURN_IF_ERROR(words_.read(row, text_));
  shingle_set(text_, shingle_, entry.shingles);
  entry.row = row;
  entry.used = true;
  return &entry.shingles;
}

Status PairChecker::check(uint32_t a, uint32_t b, bool& similar) {
  LS_ASSIGN_OR_RETURN(const Shingles* first, load(a));
  LS_ASSIGN_OR_RETURN(const Shingles* second, load(b));
  const double least = threshold_ - kRounding;
  ++counts_.checks;
  similar = sizes_allow(first->size(), second->size(), least) && jaccard(*first, *second) >= least;
  return ok_status();
}

Status PairChecker::propose(uint32_t a, uint32_t b) {
  if (components_.joined(a, b)) return ok_status();
  ++counts_.candidates;
  const uint64_t key = pair_key(a, b);
  uint64_t& refused = refused_[hash_combine(key, 0) % kRefusedPairs];
  if (refused == key) return ok_status();
  bool similar = false;
  LS_RETURN_IF_ERROR(check(a, b, similar));
  if (similar) {
    components_.unite(a, b);
    ++counts_.edges;
  } else {
    refused = key;
  }
  return ok_status();
}

}  // namespace longshot::curate
