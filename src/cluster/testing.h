#pragma once
// Helpers of the tests of this folder and of its users: a clock that is moved by hand, a directory
// that can be cut off, and a log of events.

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/directory.h"

namespace longshot::cluster {

inline Deadline soon() {
  return Deadline::after_seconds(5);
}

// True once `condition` holds; false if it does not within `seconds`.
inline bool eventually(const std::function<bool()>& condition, double seconds = 10) {
  const Deadline deadline = Deadline::after_seconds(seconds);
  while (!condition()) {
    if (deadline.expired()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// Thread-safe.
class ManualClock {
 public:
  Now now() {
    return [this] { return SteadyClock::time_point(std::chrono::milliseconds(ms_.load())); };
  }
  void advance(double seconds) { ms_ += static_cast<int64_t>(seconds * 1000); }

 private:
  std::atomic<int64_t> ms_ = 1'000'000;
};

// Another directory as a process sees it whose network can be cut. Watches are not affected.
class CutDirectory final : public Directory {
 public:
  explicit CutDirectory(Directory& directory) : directory_(directory) {}

  void cut(bool is_cut) { cut_ = is_cut; }
  // The next commit is made, but its answer is lost.
  void lose_next_answer() { lose_answer_ = true; }
  int calls() const { return calls_; }

  Result<Entry> get(const std::string& key, Deadline deadline) override {
    return cut() ? Result<Entry>(lost()) : directory_.get(key, deadline);
  }
  Result<Listing> list(const std::string& prefix, Deadline deadline) override {
    return cut() ? Result<Listing>(lost()) : directory_.list(prefix, deadline);
  }
  Result<Commit> commit(const std::vector<Condition>& conditions,
                        const std::vector<Change>& changes, Deadline deadline) override {
    if (cut()) return lost();
    auto done = directory_.commit(conditions, changes, deadline);
    return lose_answer_.exchange(false) ? Result<Commit>(lost()) : done;
  }
  Result<Lease> grant(double ttl_seconds, Deadline deadline) override {
    return cut() ? Result<Lease>(lost()) : directory_.grant(ttl_seconds, deadline);
  }
  Status keep_alive(int64_t lease, Deadline deadline) override {
    return cut() ? lost() : directory_.keep_alive(lease, deadline);
  }
  Status revoke(int64_t lease, Deadline deadline) override {
    return cut() ? lost() : directory_.revoke(lease, deadline);
  }
  std::unique_ptr<Watch> watch(const std::string& prefix, Listing known,
                               OnEvents on_events) override {
    return directory_.watch(prefix, std::move(known), std::move(on_events));
  }

 private:
  bool cut() {
    ++calls_;
    return cut_;
  }
  static Status lost() { return unavailable("the network is cut"); }

  Directory& directory_;
  std::atomic<bool> cut_ = false, lose_answer_ = false;
  std::atomic<int> calls_ = 0;
};

// Collects the events of a watch. Thread-safe.
class EventLog {
 public:
  Directory::OnEvents callback() {
    return [this](const std::vector<Event>& events) {
      std::lock_guard lock(mutex_);
      events_.insert(events_.end(), events.begin(), events.end());
    };
  }
  std::vector<Event> events() const {
    std::lock_guard lock(mutex_);
    return events_;
  }
  size_t size() const { return events().size(); }
  // "key=value" and "-key", in the order of the events.
  std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const Event& event : events())
      texts.push_back(event.removed ? "-" + event.entry.key
                                    : event.entry.key + "=" + event.entry.value);
    return texts;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Event> events_;
};

}  // namespace longshot::cluster
