#pragma once
// A fixed set of worker threads. They look for work for some microseconds before they sleep, because the loops of a
// forward pass follow one another at once. Each thread of a loop goes through a stretch of its own in index order, the
// caller through the first, so that loops over the same rows find them in the caches where the last one left them; who
// is done takes from the end of another's. Results must not depend on which worker runs which index. Threads must not
// call into libtorch (it has its own).

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

  // Runs body(i) for i in [0, count), returns when all are done. Not reentrant from body. Throws the
  // first exception of a body once no thread runs one; the other indices may then be left out.
  void parallel_for(int count, const std::function<void(int)>& body);
  // The same for ranges of indices, body(begin, end): long ones first, `least` >= 1 or the rest at the end, so that
  // threads end together even where one began late or shares its core.
  void parallel_ranges(int count, int least, const std::function<void(int, int)>& body);
  // Runs the task on some worker (inline when the pool has one thread). The task must not throw.
  // Thread-safe.
  void submit(std::function<void()> task);

 private:
  void work();
  void loop(int count, bool halves, int least, const std::function<void(int, int)>& body);

  std::atomic<int> queued_{0};  // tasks_.size(), to be looked at without the lock
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace longshot
