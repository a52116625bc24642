#pragma once
// What RemoteRollout does: links to workers, whose events come on threads of the wire, and the pool
// that they change. Rounds in flight have a thread of their own (remote_rollout_rounds.cc).

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/os/clock.h"
#include "rollout/remote/pool.h"
#include "rollout/remote/remote_rollout.h"
#include "rollout/remote/rounds_in_flight.h"
#include "wire/worker_server.h"

namespace longshot::rollout {

class RemoteRollout::Impl {
 public:
  explicit Impl(RemoteOptions options)
      : options_(std::move(options)), pool_({options_.silence_seconds}), rounds_(pool_) {}
  // The thread, and then the links, end before the state that they use.
  ~Impl();

  Status start();
  int port() const { return server_->port(); }
  Status load_weights(const model::WeightsView& weights);
  void release();
  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress, Metrics& metrics);
  void run_has_ended();
  std::vector<RunEvent> take_events();
  Json status() const;

  // See RoundGenerator.
  void set_cut(std::vector<data::Sample> samples);
  Status begin_round(RoundRequest request);
  Result<RoundResult> end_round(bool finish_when_stopped);
  void abandon_rounds();

 private:
  struct Peer {
    std::string address, name, host;
    Json who, report;
    bool admitted = false, silent = false;  // silent: an event has said so
    double told = 0;                        // when it was sent `sent`
    int64_t version = -1, sent = -1;        // of the weights: loaded, and sent last
  };
  // What has come from workers since the last metrics.
  struct Arrivals {
    std::map<std::string, int64_t> tokens;  // by host
    int64_t loads = 0;
    double load_seconds_max = 0;
  };
  // A sample that has ended, for the function that its round gave.
  struct ToHandOver {
    data::Sample sample;
    std::function<void(const data::Sample&)> to;
  };

  double now() const { return clock_.seconds(); }
  Result<std::vector<wire::Job>> make_jobs(const std::vector<data::Sample>& jobs,
                                           const EngineOptions& options) const;
  Status admit(const Json& who) const;

  // These require mutex_.
  Status wait_for_round(std::unique_lock<std::mutex>& lock, const EngineOptions& options,
                        const std::function<void(const Progress&)>& on_progress);
  void hand_over(std::unique_lock<std::mutex>& lock, const EngineOptions& options,
                 const std::function<void(const Progress&)>& on_progress);
  void begin(const std::vector<wire::Job>& jobs, const EngineOptions& options);
  void complain_without_workers(double& complained) const;
  void send_orders();
  void send_jobs(WorkerId worker, std::vector<wire::Job>& jobs);
  void send_weights(wire::LinkId link, int64_t version);
  void send_newest();
  Metrics take_metrics(Metrics of_pool, int64_t new_tokens, double seconds);
  void note(RunEventKind kind, wire::LinkId link, const std::string& cause = {});
  void note_silence(wire::LinkId link);
  void note_return(wire::LinkId link, Peer& peer);
  Status handle(wire::LinkId link, Peer& peer, wire::Hello& message);
  Status handle(wire::LinkId link, Peer& peer, const wire::Ready& message);
  Status handle(wire::LinkId link, Peer& peer, const wire::Piece& message);
  Status handle(wire::LinkId link, Peer& peer, const wire::JobError& message);
  Status handle(wire::LinkId link, Peer& peer, wire::Report& message);
  void turn_out(wire::LinkId link, const Status& reason);
  void complete(size_t job);
  void hand_over_rounds(std::unique_lock<std::mutex>& lock);

  void drive_rounds(const std::stop_token& stop);

  // Events of links.
  void open(wire::LinkId link, const std::string& address);
  void forget(wire::LinkId link, const std::string& why);
  void receive(wire::LinkId link, wire::FromWorker& message);

  // The pool is asked at least this often, so that silence is noticed and a stop is prompt.
  static constexpr double kLookSeconds = 0.1;

  const RemoteOptions options_;
  const Stopwatch clock_;
  mutable std::mutex mutex_;  // guards the fields up to driver_
  std::condition_variable changed_;
  Pool pool_;
  std::map<wire::LinkId, Peer> peers_;
  std::deque<wire::NewWeights> weights_;  // the newest version, and the one before
  bool released_ = false;                 // since the last load_weights()
  Json sampling_;
  int64_t round_ = 0;
  std::vector<size_t> ended_;  // samples of generate() that have ended and were not handed over
  Status failure_;
  RoundsInFlight rounds_;
  std::map<int64_t, std::function<void(const data::Sample&)>> on_finished_;  // by round
  std::map<int64_t, Json> sampling_of_;                                      // by version
  std::vector<ToHandOver> to_hand_over_;
  bool handing_over_ = false;
  Status rounds_failure_;
  std::deque<RunEvent> events_;
  Arrivals arrivals_;
  Metrics before_;  // of the pool, when the last round ended
  std::jthread driver_;
  std::unique_ptr<wire::WorkerServer> server_;
};

}  // namespace longshot::rollout
