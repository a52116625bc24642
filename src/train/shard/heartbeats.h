#pragma once
// Signs of life of a gang's processes. One that is stopped, or cut off from the others, is noticed
// in seconds, however long a call of the gang may take. (One that has ended is noticed by the
// transport.) Torch-free.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace longshot::train {

struct HeartbeatOptions {
  std::chrono::milliseconds every{1000};
  int silence = 20;  // beats without a change of its count, after which a process is lost
};

// Silence is counted in beats of this process and not by the clock, so a gang whose processes were
// all paused together continues. Thread-safe.
class Heartbeats {
 public:
  // Publishes the count of this process and returns those of all processes, [size]. It may throw
  // if the meeting point has ended, and may never return if that is stopped.
  using Exchange = std::function<std::vector<int64_t>(int64_t own)>;

  Heartbeats(int rank, int size, Exchange exchange, const HeartbeatOptions& options = {});
  // Does not wait for an exchange that takes longer than a few beats: its thread is left behind.
  ~Heartbeats();
  Heartbeats(const Heartbeats&) = delete;
  Heartbeats& operator=(const Heartbeats&) = delete;

  // The first process that has been silent for too long; this process if the meeting point does
  // not answer.
  std::optional<int> lost() const;
  double seconds_of_silence() const;

 private:
  struct State;

  const HeartbeatOptions options_;
  const std::shared_ptr<State> state_;  // shared with the thread that may be left behind
  std::thread exchange_, watch_;
};

}  // namespace longshot::train
