#include "train/pass/packing.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>

#include "base/check.h"
#include "base/rng.h"

namespace longshot::train {
namespace {

// Packs of equal capacity in a tree that stores the largest free room below each node, so a search
// takes time logarithmic in the number of packs.
class FirstFit {
 public:
  FirstFit(size_t packs, int64_t room)
      : leaves_(std::bit_ceil(std::max<size_t>(1, packs))), max_(2 * leaves_, room) {}

  // Returns the first pack with room for `length`; nullopt if no pack has it.
  std::optional<size_t> find(int64_t length) const {
    if (max_[1] < length) return std::nullopt;
    size_t node = 1;
    while (node < leaves_) {
      node *= 2;
      if (max_[node] < length) ++node;
    }
    return node - leaves_;
  }

  void take(size_t pack, int64_t length) {
    size_t node = leaves_ + pack;
    max_[node] -= length;
    while (node > 1) {
      node /= 2;
      max_[node] = std::max(max_[2 * node], max_[2 * node + 1]);
    }
  }

 private:
  size_t leaves_;
  std::vector<int64_t> max_;  // [2 * leaves_], the root at 1
};

}  // namespace

std::vector<std::vector<size_t>> pack_sequences(const std::vector<int64_t>& lengths,
                                                int64_t max_tokens) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });

  std::vector<std::vector<size_t>> packs;
  FirstFit fit(lengths.size(), max_tokens);
  for (const size_t i : order) {
    const size_t pack = fit.find(lengths[i]).value_or(packs.size());
    if (pack == packs.size()) packs.emplace_back();
    packs[pack].push_back(i);
    fit.take(pack, lengths[i]);
  }
  return packs;
}

std::vector<std::vector<size_t>> random_parts(size_t count, int parts, uint64_t key) {
  LS_CHECK(parts >= 1, "at least one part");
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  CounterRng(key).shuffle(order);

  const size_t pieces = std::min(count, static_cast<size_t>(parts));
  std::vector<std::vector<size_t>> out;
  for (size_t p = 0; p < pieces; ++p) {
    out.emplace_back(order.begin() + static_cast<long>(p * count / pieces),
                     order.begin() + static_cast<long>((p + 1) * count / pieces));
  }
  return out;
}

}  // namespace longshot::train
