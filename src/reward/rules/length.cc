#include <algorithm>

#include "reward/reward.h"

namespace longshot::reward {

std::vector<double> length_rewards(const std::vector<int>& lengths,
                                   const std::vector<bool>& correct) {
  LS_CHECK(lengths.size() == correct.size(), "one length and one verdict per sample");
  std::vector<double> out(lengths.size(), 0.0);
  if (lengths.empty()) return out;
  const auto [low, high] = std::minmax_element(lengths.begin(), lengths.end());
  if (*low == *high) return out;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const double lambda =
        0.5 - static_cast<double>(lengths[i] - *low) / static_cast<double>(*high - *low);
    out[i] = correct[i] ? lambda : std::min(0.0, lambda);
  }
  return out;
}

double overlong_penalty(int tokens, int max_length, int buffer) {
  LS_CHECK(buffer > 0, "a buffer of at least one token");
  const double over = static_cast<double>(tokens) - (max_length - buffer);
  return -std::clamp(over / buffer, 0.0, 1.0);
}

}  // namespace longshot::reward
