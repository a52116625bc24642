#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <new>

#include "base/check.h"

namespace longshot {

namespace {

// Spins until `done()` is true, for at most about 50 microseconds.
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

struct Range {
  uint32_t begin, end;
};

// The remaining part of one thread's stretch of a loop, on its own cache line.
class alignas(64) Stretch {
 public:
  void set(uint32_t begin, uint32_t end) { left_ = {begin, end}; }
  // Takes indices for the owning thread from the front (`least` of them, or half of the remaining
  // ones if that is more and `halves` is set), and for another thread from the back (`least`).
  // Empty if none remain.
  Range take(bool own, bool halves, uint32_t least) {
    Range left = left_.load(std::memory_order_relaxed), rest, taken;
    do {
      const uint32_t all = left.end - left.begin;
      const uint32_t size = std::min(all, own && halves ? std::max(least, all / 2) : least);
      rest = own ? Range{left.begin + size, left.end} : Range{left.begin, left.end - size};
      taken = own ? Range{left.begin, rest.begin} : Range{rest.end, left.end};
    } while (!left_.compare_exchange_weak(left, rest, std::memory_order_relaxed));
    return taken;
  }

 private:
  std::atomic<Range> left_{Range{0, 0}};
};

using Body = std::function<void(int, int)>;

// Shared by the helpers of one loop. A helper that starts late finds nothing left and never touches
// the body, which may already be destroyed.
class Loop {
 public:
  Loop(int count, int threads, bool halves, int least, const Body& body)
      : count_(count), halves_(halves), least_(least), body_(&body), stretches_(threads) {
    for (int64_t t = 0; t < threads; ++t)
      stretches_[t].set(static_cast<uint32_t>(count * t / threads),
                        static_cast<uint32_t>(count * (t + 1) / threads));
  }

  void run(size_t own) {
    for (size_t s = 0; s < stretches_.size(); ++s) {
      Stretch& stretch = stretches_[(own + s) % stretches_.size()];
      while (true) {
        const auto [begin, end] = stretch.take(s == 0, halves_, least_);
        if (begin == end) break;
        call(static_cast<int>(begin), static_cast<int>(end));
        const int taken = static_cast<int>(end - begin);
        if (done_.fetch_add(taken) + taken == count_) {
          std::lock_guard lock(mutex_);
          finished_.notify_all();
        }
      }
    }
  }

  // Rethrows the first exception of the body.
  void wait() {
    spin([&] { return done_.load() == count_; });
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return done_.load() == count_; });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // After an exception the remaining indices are counted but not run.
  void call(int begin, int end) {
    if (failed_.load(std::memory_order_relaxed)) return;
    try {
      (*body_)(begin, end);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_.store(true);
    }
  }

  const int count_;
  const bool halves_;
  const uint32_t least_;
  const Body* body_;
  std::vector<Stretch> stretches_;
  std::atomic<int> done_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::condition_variable finished_;
  std::exception_ptr failure_;
};

}  // namespace

void ThreadPool::loop(int count, bool halves, int least, const Body& body) {
  const int helpers = std::min<int>(static_cast<int>(workers_.size()), count - 1);
  const auto loop = std::make_shared<Loop>(count, helpers + 1, halves, least, body);
  try {
    for (int i = 1; i <= helpers; ++i) submit([loop, i] { loop->run(i); });
  } catch (const std::bad_alloc&) {
    // Helpers that were already submitted may use the body, so the loop must be finished with them.
  }
  loop->run(0);
  loop->wait();
}

void ThreadPool::parallel_for(int count, const std::function<void(int)>& body) {
  if (count <= 0) return;
  if (workers_.empty() || count == 1) {
    for (int i = 0; i < count; ++i) body(i);
    return;
  }
  loop(count, /*halves=*/false, 1, [&](int begin, int) { body(begin); });
}

void ThreadPool::parallel_ranges(int count, int least, const Body& body) {
  if (count <= 0) return;
  if (workers_.empty() || count <= least) return body(0, count);
  loop(count, /*halves=*/true, least, body);
}

}  // namespace longshot
