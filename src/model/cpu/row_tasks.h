#pragma once
// Cuts operations on rows that are not products into tasks for the threads of a pool.

#include <algorithm>
#include <cstdint>
#include <functional>

#include "base/thread_pool.h"

namespace longshot::model::cpu {

constexpr int64_t kTaskRows = 32;

// Calls body(begin, end) for blocks of `task_rows` rows, the last of which may be shorter.
inline void for_rows(ThreadPool& pool, int64_t rows,
                     const std::function<void(int64_t begin, int64_t end)>& body,
                     int64_t task_rows = kTaskRows) {
  pool.parallel_for(static_cast<int>((rows + task_rows - 1) / task_rows),
                    [&](int b) { body(b * task_rows, std::min(rows, (b + 1) * task_rows)); });
}

}  // namespace longshot::model::cpu
