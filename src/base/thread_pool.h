#pragma once
// A fixed set of helper threads. They spin for some microseconds before they sleep, because the
// loops of a forward pass follow one another immediately. Each thread processes its own stretch of
// a loop in index order; the caller takes the first. Loops over the same rows therefore find them
// in the caches that the last loop filled. A thread that has finished its stretch takes indices
// from the end of another's. Results must not depend on which thread runs which index. Threads must
// not call into libtorch, which has its own.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace longshot {

class ThreadPool {
 public:
  // threads >= 1. parallel_for uses the calling thread as one of them, so 1 starts no thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();  // finishes submitted tasks
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs body(i) for i in [0, count) and returns when all are done. Must not be called from a body.
  // Rethrows the first exception of a body when no thread runs one any more; some of the other
  // indices may then be skipped.
  void parallel_for(int count, const std::function<void(int)>& body);
  // Calls body(begin, end) for ranges of indices. The ranges are long at first and shrink to
  // `least` >= 1 indices (or the remainder) at the end, so that all threads finish together even if
  // one began late or shares its core.
  void parallel_ranges(int count, int least, const std::function<void(int, int)>& body);
  // Runs the task on a helper thread, or inline if the pool has one thread. The task must not
  // throw. Thread-safe.
  void submit(std::function<void()> task);

 private:
  void work();
  void loop(int count, bool halves, int least, const std::function<void(int, int)>& body);

  std::atomic<int> queued_{0};  // tasks_.size(), readable without the lock
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace longshot
