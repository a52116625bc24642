#pragma once
// For the scheduler's tests.

#include <cstdint>
#include <vector>

namespace longshot::rollout {

// first, first + 1, ...
inline std::vector<int32_t> ramp(int count, int first = 0) {
  std::vector<int32_t> tokens(count);
  for (int i = 0; i < count; ++i) tokens[i] = first + i;
  return tokens;
}

}  // namespace longshot::rollout
