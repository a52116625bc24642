#include "net/connection_threads.h"

#include <system_error>
#include <utility>

namespace longshot::net {

bool ConnectionThreads::enqueue(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  if (tasks_.size() >= idle_ + max_waiting_) return false;
  if (idle_ <= tasks_.size() && threads_.size() < max_threads_) {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // The limit of threads is reached: the existing ones run the task.
      if (threads_.empty()) return false;
    }
  }
  tasks_.push_back(std::move(task));
  filled_.notify_one();
  return true;
}

void ConnectionThreads::shutdown() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  filled_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ConnectionThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    filled_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    --idle_;
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace longshot::net
