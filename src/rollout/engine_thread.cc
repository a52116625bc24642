#include "rollout/engine_thread.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "base/check.h"

namespace longshot::rollout {

EngineThread::EngineThread(std::unique_ptr<Engine> engine, const EngineThreadOptions& options)
    : engine_(std::move(engine)),
      limits_(engine_->runner().limits()),
      max_samples_(limits_.max_running + options.max_waiting),
      has_tokenizer_(engine_->tokenizer() != nullptr) {
  LS_CHECK(options.max_waiting >= 0, "max_waiting is negative");
  publish_stats();
  thread_ = std::thread([this] { work(); });
}

EngineThread::~EngineThread() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Result<std::vector<int64_t>> EngineThread::submit(std::vector<Job> jobs) {
  std::unique_lock lock(mutex_);
  const int vocab_size = vocab_size_;
  lock.unlock();
  for (const Job& job : jobs) {
    LS_RETURN_IF_ERROR(check_request(job.request, limits_, vocab_size, has_tokenizer_));
  }
  lock.lock();
  const int count = static_cast<int>(jobs.size());
  if (samples_ + count > max_samples_) {
    return exhausted(fmt::format(
        "{} samples are running or waiting, {} more would exceed the limit of {}; try again later",
        samples_, count, max_samples_));
  }
  samples_ += count;
  std::vector<int64_t> ids;
  for (Job& job : jobs) {
    const int64_t id = ids.emplace_back(next_id_++);
    commands_.push_back(
        [this, id, job = std::make_shared<Job>(std::move(job))] { start(id, std::move(*job)); });
  }
  lock.unlock();
  wake_.notify_all();
  return ids;
}

void EngineThread::abort(int64_t id, const std::string& reason) {
  post([this, id, reason] { abort_now(id, cancelled(reason)); });
}

void EngineThread::abort_all(const std::string& reason) {
  post([this, reason] { abort_live(cancelled(reason)); });
}

void EngineThread::pause(PauseMode mode) {
  call([&] {
    totals_.paused = true;
    if (mode == PauseMode::abort) abort_live(cancelled("generation was paused"));
    publish_stats();
  });
}

void EngineThread::resume() {
  call([&] {
    totals_.paused = false;
    publish_stats();
  });
}

Status EngineThread::update_weights(const std::function<Status(Runner& runner)>& update) {
  Status status;
  call([&] {
    status = update(engine_->runner());
    publish_stats();
  });
  return status;
}

Result<std::shared_ptr<const RunnerAdapter>> EngineThread::prepare_adapter(
    const model::Adapter& adapter) {
  std::optional<Result<std::shared_ptr<const RunnerAdapter>>> prepared;
  call([&] { prepared.emplace(engine_->runner().prepare_adapter(adapter)); });
  return std::move(*prepared);
}

EngineThreadStats EngineThread::stats() const {
  std::lock_guard lock(mutex_);
  EngineThreadStats stats = stats_;
  stats.running = std::min(stats.running, samples_);
  stats.waiting = samples_ - stats.running;
  return stats;
}

void EngineThread::post(Command command) {
  {
    std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  wake_.notify_all();
}

void EngineThread::call(const Command& command) {
  bool done = false;
  post([&] {
    command();
    std::lock_guard lock(mutex_);
    done = true;
    settled_.notify_all();
  });
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [&] { return done; });
}

void EngineThread::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::vector<Command> commands = std::exchange(commands_, {});
    lock.unlock();
    for (const Command& command : commands) command();
    commands.clear();
    abort_expired();
    if (!totals_.paused && !live_.empty()) step();
    const bool resting = totals_.paused || live_.empty();
    lock.lock();
    if (resting && commands_.empty() && !stopping_) sleep(lock);
  }
  const std::vector<Command> last = std::exchange(commands_, {});
  lock.unlock();
  for (const Command& command : last) command();
  abort_live(cancelled("the worker is shutting down"));
}

// Sleeps until there is a command or the deadline of a paused sample passes.
void EngineThread::sleep(std::unique_lock<std::mutex>& lock) {
  constexpr double kLongest = 3600;  // seconds
  double seconds = kLongest;
  if (!by_deadline_.empty()) {
    seconds = std::min(seconds, by_deadline_.begin()->first.seconds_left());
  }
  const Stopwatch watch;
  wake_.wait_for(lock, std::chrono::duration<double>(seconds),
                 [this] { return !commands_.empty() || stopping_; });
  totals_.idle_seconds += watch.seconds();
  stats_.idle_seconds = totals_.idle_seconds;
}

void EngineThread::start(int64_t id, Job job) {
  Entry& entry = live_[id];
  entry.deadline = job.deadline;
  by_deadline_.emplace(job.deadline, id);
  entry.on_token = std::move(job.on_token);
  entry.on_finished = std::move(job.on_finished);
  data::Sample unstarted = job.request.sample;
  const auto added = engine_->add(std::move(job.request));
  if (!added.ok()) {  // valid when submitted, but the weights are of another model now
    unstarted.finish = data::FinishReason::aborted;
    return end(id, {std::move(unstarted), added.status()});
  }
  entry.engine_id = *added;
  by_engine_[*added] = id;
}

void EngineThread::step() {
  const Stopwatch watch;
  Status status;
  try {
    status = engine_->step({.on_token = [this](int64_t engine_id, const Choice& choice) {
      ++totals_.generated_tokens;
      const Entry& entry = live_.at(by_engine_.at(engine_id));
      if (entry.on_token) entry.on_token(choice);
      return true;
    }});
  } catch (const std::exception& error) {  // of the tensor library, such as out of memory
    status = internal_error(error.what());
  }
  totals_.busy_seconds += watch.seconds();
  totals_.steps = engine_->steps();
  publish_stats();
  for (Finished& finished : engine_->take_finished()) {
    end(by_engine_.at(finished.id), {std::move(finished.sample), ok_status()});
  }
  if (!status.ok()) abort_live(status);
}

void EngineThread::end(int64_t id, Outcome outcome) {
  const auto it = live_.find(id);
  Entry entry = std::move(it->second);
  live_.erase(it);
  by_engine_.erase(entry.engine_id);
  by_deadline_.erase({entry.deadline, id});
  ++(outcome.status.ok() ? totals_.finished : totals_.aborted);
  {
    std::lock_guard lock(mutex_);
    --samples_;
  }
  publish_stats();
  if (entry.on_finished) entry.on_finished(std::move(outcome));
}

void EngineThread::abort_now(int64_t id, const Status& why) {
  const auto it = live_.find(id);
  if (it == live_.end()) return;
  end(id, {engine_->abort(it->second.engine_id, data::FinishReason::aborted), why});
}

void EngineThread::abort_expired() {
  while (!by_deadline_.empty() && by_deadline_.begin()->first.expired()) {
    abort_now(by_deadline_.begin()->second, timeout_error("the request's deadline passed"));
  }
}

void EngineThread::abort_live(const Status& why) {
  while (!live_.empty()) abort_now(live_.begin()->first, why);
}

void EngineThread::publish_stats() {
  totals_.version = engine_->runner().version();
  totals_.running = engine_->running();
  totals_.kv_blocks = limits_.blocks();
  totals_.kv_blocks_in_use = engine_->kv_blocks_in_use();
  std::lock_guard lock(mutex_);
  stats_ = totals_;
  vocab_size_ = engine_->runner().config().vocab_size;
}

}  // namespace longshot::rollout
