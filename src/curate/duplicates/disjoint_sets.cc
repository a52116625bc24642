#include "curate/duplicates/disjoint_sets.h"

#include <algorithm>
#include <numeric>

namespace longshot::curate {

DisjointSets::DisjointSets(size_t rows) : parents_(rows), links_(rows) {
  std::iota(parents_.begin(), parents_.end(), 0U);
  std::iota(links_.begin(), links_.end(), 0U);
}

uint32_t DisjointSets::find(uint32_t row) {
  while (parents_[row] != row) row = parents_[row] = parents_[parents_[row]];
  return row;
}

bool DisjointSets::unite(uint32_t a, uint32_t b) {
  const uint32_t first = find(a), second = find(b);
  const auto [low, high] = std::minmax(first, second);
  if (low == high) return false;
  parents_[high] = low;
  if (links_[a] == a) links_[a] = b;
  if (links_[b] == b) links_[b] = a;
  return true;
}

}  // namespace longshot::curate
