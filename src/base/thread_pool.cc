#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>

#include "base/check.h"

namespace longshot {

namespace {

// Until `done()` or for about 50 microseconds.
template <typename Done>
void spin(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
  while (!done() && std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 16 && !done(); ++i) __builtin_ia32_pause();
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  LS_CHECK(threads >= 1, "a thread pool needs a thread");
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::work() {
  while (true) {
    std::function<void()> task;
    spin([this] { return queued_.load(std::memory_order_relaxed) > 0; });
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      queued_.fetch_sub(1, std::memory_order_relaxed);
    }
    task();
  }
}

void ThreadPool::submit(std::function<void()> task) {
  if (workers_.empty()) return task();
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    queued_.fetch_add(1, std::memory_order_relaxed);
  }
  wake_.notify_one();
}

namespace {

// Shared by the helpers of one parallel_for; a helper that starts late finds nothing left and never
// touches the body, which may be gone by then.
struct Loop {
  std::atomic<int> next{0};
  std::atomic<int> done{0};
  int count = 0;
  const std::function<void(int)>* body = nullptr;
  std::mutex mutex;
  std::condition_variable finished;

  void run() {
    for (int i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      (*body)(i);
      if (done.fetch_add(1) + 1 == count) {
        std::lock_guard lock(mutex);
        finished.notify_all();
      }
    }
  }
};

}  // namespace

void ThreadPool::parallel_for(int count, const std::function<void(int)>& body) {
  if (count <= 0) return;
  if (workers_.empty() || count == 1) {
    for (int i = 0; i < count; ++i) body(i);
    return;
  }
  auto loop = std::make_shared<Loop>();
  loop->count = count;
  loop->body = &body;
  const int helpers = std::min<int>(static_cast<int>(workers_.size()), count - 1);
  for (int i = 0; i < helpers; ++i) submit([loop] { loop->run(); });
  loop->run();
  spin([&] { return loop->done.load() == count; });
  std::unique_lock lock(loop->mutex);
  loop->finished.wait(lock, [&] { return loop->done.load() == count; });
}

}  // namespace longshot
