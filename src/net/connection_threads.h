#pragma once
// Threads that answer requests; they mostly wait and compute little. A thread is started when none
// is idle, up to a limit. Beyond that limit, requests are queued.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace longshot::net {

// Thread-safe. shutdown() must be called before destruction.
class ConnectionThreads {
 public:
  ConnectionThreads(size_t max_threads, size_t max_waiting)
      : max_threads_(max_threads), max_waiting_(max_waiting) {}

  // Never blocks. False if too many tasks are queued or no thread can be started.
  bool enqueue(std::function<void()> task);
  void shutdown();  // returns after all queued tasks have run

 private:
  void work();

  const size_t max_threads_, max_waiting_;
  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<std::function<void()>> tasks_;
  size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace longshot::net
