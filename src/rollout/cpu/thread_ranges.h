#pragma once
// How the loops of a pass are spread over threads.

#include <algorithm>
#include <cstdint>

#include "base/thread_pool.h"

namespace longshot::rollout::cpu {

// The threads that a pass may use. If `pool` is null, everything runs on the calling thread.
struct ThreadRanges {
  ThreadPool* pool = nullptr;

  // Calls body(begin, end) over [0, count), cut into ranges if `work` (multiply-adds, roughly) is
  // worth it.
  template <typename Body>
  void ranges(int count, int64_t work, const Body& body) const {
    constexpr int64_t kWorthAThread = 200'000, kMinWork = 400'000;
    if (pool == nullptr || work < kWorthAThread || count < 2) return body(0, count);
    const int threads = pool->threads();
    pool->parallel_ranges(count,
                          static_cast<int>(std::clamp<int64_t>(kMinWork * count / work, 1,
                                                               (count + threads - 1) / threads)),
                          body);
  }
};

}  // namespace longshot::rollout::cpu
