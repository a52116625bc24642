// Rounds in flight: a thread sends the jobs and hands over the samples, whatever the caller does.
#include "base/check.h"
#include "base/os/stop.h"
#include "rollout/remote/remote_rollout_impl.h"
#include "rollout/remote/sampling_json.h"

namespace longshot::rollout {

RemoteRollout::Impl::~Impl() {
  driver_.request_stop();
  changed_.notify_all();
  if (driver_.joinable()) driver_.join();
  server_.reset();
}

void RemoteRollout::Impl::set_cut(std::vector<data::Sample> samples) {
  std::lock_guard lock(mutex_);
  rounds_.set_cut(std::move(samples));
}

Status RemoteRollout::Impl::begin_round(RoundRequest request) {
  LS_ASSIGN_OR_RETURN(std::vector<wire::Job> jobs, make_jobs(request.jobs, request.options));
  std::lock_guard lock(mutex_);
  LS_CHECK(!weights_.empty(), "begin_round() before load_weights()");
  if (rounds_.empty()) rounds_failure_ = failure_ = ok_status();
  const int64_t version = weights_.back().version;
  sampling_of_[version] = sampling_to_json(request.options);
  sampling_of_.erase(sampling_of_.begin(), sampling_of_.lower_bound(weights_.front().version));
  ++round_;
  auto continued = [most = request.options.sampling.max_response_length,
                    cap = request.options.segment_tokens](data::Sample sample) {
    return wire::Job{.id = 0,
                     .sample = std::move(sample),
                     .max_response_length = most,
                     .segment_tokens = cap,
                     .forced = {}};
  };
  rounds_.begin({std::move(jobs), version, std::move(continued), std::move(request.groups)}, now());
  on_finished_[rounds_.newest()] = std::move(request.options.on_finished);
  if (!driver_.joinable())
    driver_ = std::jthread([this](const std::stop_token& stop) { drive_rounds(stop); });
  changed_.notify_all();
  return ok_status();
}

Result<RoundResult> RemoteRollout::Impl::end_round(bool finish_when_stopped) {
  std::unique_lock lock(mutex_);
  LS_CHECK(!rounds_.empty(), "a round is in flight");
  // What is handed over belongs to the round that has ended, or to a later one.
  while (!rounds_.oldest_has_ended() || handing_over_ || !to_hand_over_.empty()) {
    LS_RETURN_IF_ERROR(rounds_failure_);
    if (stop_requested() && !finish_when_stopped) return cancelled("stopped");
    changed_.wait_for(lock, std::chrono::duration<double>(kLookSeconds));
  }
  RoundsInFlight::Ended ended = rounds_.take_oldest();
  on_finished_.erase(on_finished_.begin());
  const Metrics now_of_pool = pool_.metrics();
  Metrics of_pool = now_of_pool;
  for (auto& [name, value] : of_pool) value -= before_[name];
  before_ = now_of_pool;
  Metrics metrics = take_metrics(std::move(of_pool), ended.new_tokens, ended.seconds);
  return RoundResult{ended.version, std::move(ended.samples), std::move(metrics)};
}

void RemoteRollout::Impl::abandon_rounds() {
  std::unique_lock lock(mutex_);
  rounds_failure_ = cancelled("the rounds were given up");
  to_hand_over_.clear();
  for (auto& [round, function] : on_finished_) function = nullptr;
  while (handing_over_) changed_.wait_for(lock, std::chrono::duration<double>(kLookSeconds));
}

void RemoteRollout::Impl::complete(size_t job) {
  auto [sample, round] = rounds_.complete(job, now());
  const auto& to = on_finished_.at(round);
  if (to && sample.finish != data::FinishReason::partial)
    to_hand_over_.push_back({std::move(sample), to});
}

// Calls the caller's functions without the lock.
void RemoteRollout::Impl::hand_over_rounds(std::unique_lock<std::mutex>& lock) {
  const std::vector<ToHandOver> samples = std::exchange(to_hand_over_, {});
  if (samples.empty()) return;
  handing_over_ = true;
  lock.unlock();
  for (const ToHandOver& one : samples) one.to(one.sample);
  lock.lock();
  handing_over_ = false;
  changed_.notify_all();
}

void RemoteRollout::Impl::drive_rounds(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  double complained = now();
  while (!stop.stop_requested()) {
    hand_over_rounds(lock);
    if (!rounds_.empty() && rounds_failure_.ok()) {
      rounds_failure_ = options_.check && failure_.ok() ? options_.check() : failure_;
      send_orders();
      complain_without_workers(complained);
    }
    changed_.wait_for(lock, std::chrono::duration<double>(kLookSeconds));
  }
}

}  // namespace longshot::rollout
