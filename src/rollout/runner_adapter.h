#pragma once
// A low-rank adapter in the form in which a runner reads it, beside the weights of its base.

#include <atomic>
#include <cstdint>

namespace longshot::rollout {

// Immutable, so it may be read on several threads. Every sample that uses it holds a reference, so
// its memory is freed when the last of them has ended.
class RunnerAdapter {
 public:
  RunnerAdapter() = default;
  virtual ~RunnerAdapter() = default;
  RunnerAdapter(const RunnerAdapter&) = delete;
  RunnerAdapter& operator=(const RunnerAdapter&) = delete;

  virtual int64_t bytes() const = 0;  // memory of its matrices
  // Names the adapter in the prefix cache. No two adapters of a process have the same id, so an
  // adapter that is loaded again under its old name never finds what the old one computed. Never 0,
  // which is the base model.
  int64_t id() const { return id_; }

 private:
  static inline std::atomic<int64_t> made_{0};
  const int64_t id_ = ++made_;
};

inline int64_t id_of(const RunnerAdapter* adapter) {
  return adapter == nullptr ? 0 : adapter->id();
}

}  // namespace longshot::rollout
