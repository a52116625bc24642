#include "train/shard/heartbeats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <mutex>
#include <stdexcept>

#include "base/os/clock.h"

namespace longshot::train {
namespace {

using std::chrono::milliseconds;

constexpr HeartbeatOptions kFast{.every = milliseconds(20), .silence = 30};

// Where the processes of a gang publish their counts.
class Board {
 public:
  Heartbeats::Exchange of(size_t rank) {
    return [this, rank](int64_t own) {
      std::lock_guard lock(mutex_);
      if (ended) throw std::runtime_error("connection closed");
      if (!stopped[rank]) counts_[rank] = own;
      return counts_;
    };
  }
  std::array<std::atomic<bool>, 3> stopped{};
  std::atomic<bool> ended = false;

 private:
  std::mutex mutex_;
  std::vector<int64_t> counts_ = std::vector<int64_t>(3);
};

std::optional<int> loss_within(const Heartbeats& heartbeats, double seconds) {
  const auto end = Deadline::after_seconds(seconds);
  while (!heartbeats.lost() && !end.expired()) std::this_thread::sleep_for(milliseconds(2));
  return heartbeats.lost();
}

TEST(Heartbeats, ASilentProcessIsNamedByTheOthers) {
  Board board;
  const Heartbeats first(0, 3, board.of(0), kFast), second(1, 3, board.of(1), kFast),
      third(2, 3, board.of(2), kFast);
  EXPECT_EQ(loss_within(first, 2), std::nullopt);  // 100 beats, three times the limit
  board.stopped[1] = true;
  EXPECT_EQ(loss_within(first, 10), 1);
  EXPECT_EQ(loss_within(third, 10), 1);
}

TEST(Heartbeats, AMeetingPointThatEndsOrNeverAnswersIsTheProcessItself) {
  Board board;
  {
    const Heartbeats first(0, 3, board.of(0), kFast), second(1, 3, board.of(1), kFast),
        third(2, 3, board.of(2), kFast);
    board.ended = true;
    EXPECT_EQ(loss_within(first, 10), 0);
    EXPECT_EQ(loss_within(third, 10), 2);
  }
  std::promise<void> answer;
  {
    const Stopwatch watch;
    {
      const Heartbeats waits(
          1, 3,
          [done = answer.get_future().share()](int64_t) -> std::vector<int64_t> {
            done.wait();
            return {};
          },
          kFast);
      EXPECT_EQ(loss_within(waits, 10), 1);
    }
    EXPECT_LT(watch.seconds(), 10);  // the destructor leaves the call behind
  }
  answer.set_value();
}

// The others' last counts are older than the process's own, which says nothing about them.
TEST(Heartbeats, WithoutAnswersNoOtherProcessIsBlamed) {
  const Heartbeats third(
      2, 3,
      [](int64_t own) -> std::vector<int64_t> {
        if (own > 5) throw std::runtime_error("connection closed");
        return {7, 7, own};
      },
      kFast);
  EXPECT_EQ(loss_within(third, 10), 2);
}

TEST(Heartbeats, SilenceIsCountedInBeats) {
  Board board;
  const Heartbeats slow(0, 3, board.of(0), {.every = milliseconds(20), .silence = 1000});
  board.stopped[0] = true;
  EXPECT_EQ(loss_within(slow, 0.2), std::nullopt);
  EXPECT_EQ(slow.seconds_of_silence(), 20);
}

}  // namespace
}  // namespace longshot::train
