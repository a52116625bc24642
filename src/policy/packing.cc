#include "policy/packing.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/rng.h"

namespace longshot::policy {

std::vector<std::vector<size_t>> pack_sequences(const std::vector<int64_t>& lengths,
                                                int64_t max_tokens) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });

  std::vector<std::vector<size_t>> packs;
  std::vector<int64_t> room;
  for (const size_t i : order) {
    const auto fits =
        std::find_if(room.begin(), room.end(), [&](int64_t r) { return r >= lengths[i]; });
    const auto pack = static_cast<size_t>(fits - room.begin());
    if (fits == room.end()) {
      packs.emplace_back();
      room.push_back(max_tokens);
    }
    packs[pack].push_back(i);
    room[pack] -= lengths[i];
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

}  // namespace longshot::policy
