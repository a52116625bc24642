#include "train/shard/heartbeats.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>

namespace longshot::train {

struct Heartbeats::State {
  State(int own_rank, int size)
      : rank(static_cast<size_t>(own_rank)),
        counts(static_cast<size_t>(size)),
        seen(static_cast<size_t>(size)),
        silent(static_cast<size_t>(size)) {}

  void pause(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds time) {
    changed.wait_for(lock, time, [this] { return stop; });
  }
  void exchange_until_stop(const Exchange& exchange, std::chrono::milliseconds every);
  void count_silence(int limit);

  const size_t rank;
  std::mutex mutex;  // protects the following
  std::condition_variable changed;
  bool stop = false, exchange_ended = false;
  std::vector<int64_t> counts;  // as last received
  std::vector<int64_t> seen;    // counts at the last beat
  std::vector<int> silent;      // beats since the count has changed
  std::optional<int> lost;
};

namespace {

constexpr int kBeatsAtTheEnd = 3;  // how long the destructor waits for an exchange

// Empty after an error: nothing more will arrive, which is silence.
std::vector<int64_t> try_exchange(const Heartbeats::Exchange& exchange, int64_t own) {
  try {
    return exchange(own);
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace

void Heartbeats::State::exchange_until_stop(const Exchange& exchange,
                                            std::chrono::milliseconds every) {
  std::unique_lock lock(mutex);
  for (int64_t own = 1; !stop; ++own) {
    lock.unlock();
    std::vector<int64_t> received = try_exchange(exchange, own);
    lock.lock();
    if (received.empty()) break;
    counts = std::move(received);
    pause(lock, every);
  }
  exchange_ended = true;
  changed.notify_all();
}

// Another process is lost only while answers arrive. Without them all are silent, some a beat
// longer than others, and this process is the one that is lost.
void Heartbeats::State::count_silence(int limit) {
  for (size_t i = 0; i < counts.size(); ++i) silent[i] = counts[i] == seen[i] ? silent[i] + 1 : 0;
  seen = counts;
  const bool answers_arrive = silent[rank] <= limit / 2;
  for (size_t i = 0; i < silent.size() && !lost; ++i)
    if (silent[i] >= limit && (i == rank || answers_arrive)) lost = static_cast<int>(i);
}

Heartbeats::Heartbeats(int rank, int size, Exchange exchange, const HeartbeatOptions& options)
    : options_(options), state_(std::make_shared<State>(rank, size)) {
  exchange_ = std::thread([state = state_, exchange = std::move(exchange), every = options.every] {
    state->exchange_until_stop(exchange, every);
  });
  watch_ = std::thread([this] {
    std::unique_lock lock(state_->mutex);
    while (!state_->stop) {
      state_->pause(lock, options_.every);
      state_->count_silence(options_.silence);
    }
  });
}

Heartbeats::~Heartbeats() {
  bool ended = false;
  {
    std::unique_lock lock(state_->mutex);
    state_->stop = true;
    state_->changed.notify_all();
    ended = state_->changed.wait_for(lock, kBeatsAtTheEnd * options_.every,
                                     [this] { return state_->exchange_ended; });
  }
  watch_.join();
  if (ended)
    exchange_.join();
  else
    exchange_.detach();
}

std::optional<int> Heartbeats::lost() const {
  std::lock_guard lock(state_->mutex);
  return state_->lost;
}

double Heartbeats::seconds_of_silence() const {
  return std::chrono::duration<double>(options_.every * options_.silence).count();
}

}  // namespace longshot::train
