#include "loop/simulation/expected_rounds.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace longshot::loop {

std::vector<ExpectedRound> expected_rounds(double groups, double dropped, int most_rounds) {
  std::vector<ExpectedRound> rounds{{1, groups}};
  for (int r = 1; r < most_rounds; ++r) {
    const double empty = std::pow(dropped, r);
    const double probability = 1 - std::pow(1 - empty, groups);
    if (probability < 1e-3) break;
    rounds.push_back({probability, groups * empty / probability});
  }
  return rounds;
}

double expected_groups(double groups, double dropped, int most_rounds) {
  return groups * (1 - std::pow(dropped, most_rounds));
}

std::vector<int> Lengths::draw(int count, uint64_t seed) const {
  CounterRng rng(seed);
  std::vector<int> out;
  if (!recorded.empty()) {
    std::vector<int> order = recorded;
    while (static_cast<int>(out.size()) < count) {
      rng.shuffle(order);
      const size_t take = std::min(order.size(), static_cast<size_t>(count) - out.size());
      out.insert(out.end(), order.begin(), order.begin() + static_cast<long>(take));
    }
  } else {
    const double variance = std::log1p(std::pow(spread / mean, 2)), sigma = std::sqrt(variance);
    for (int i = 0; i < count; ++i)
      out.push_back(
          static_cast<int>(std::lround(mean * std::exp(sigma * rng.next_normal() - variance / 2))));
  }
  for (int& length : out) length = std::clamp(length, 1, most);
  return out;
}

}  // namespace longshot::loop
