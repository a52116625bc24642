#include "rollout/remote/remote_worker.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "base/os/stop.h"
#include "rollout/remote/sampling_json.h"

namespace longshot::rollout {
namespace {

constexpr double kIdleSeconds = 0.2;  // how quickly an idle worker notices a stop

// Sends a report regularly, also while the engine is in a long step.
class Heartbeat {
 public:
  Heartbeat(wire::WorkerLink& link, double seconds)
      : thread_([this, &link, seconds](const std::stop_token& stop) {
          int64_t before = 0;
          while (!stop.stop_requested()) {
            const int64_t now = tokens;
            link.send(wire::Report{figures(static_cast<double>(now - before) / seconds)});
            before = now;
            std::unique_lock lock(mutex_);
            ended_.wait_for(lock, stop, std::chrono::duration<double>(seconds),
                            [] { return false; });
          }
        }) {}

  std::atomic<int64_t> tokens{0}, steps{0};
  std::atomic<int> running{0}, waiting{0};

 private:
  Json figures(double tokens_per_second) const {
    return {{"tokens", tokens.load()},
            {"tokens_per_second", tokens_per_second},
            {"steps", steps.load()},
            {"running", running.load()},
            {"waiting", waiting.load()}};
  }

  std::mutex mutex_;
  std::condition_variable_any ended_;
  std::jthread thread_;  // last: it uses the members above
};

class Session {
 public:
  Session(wire::WorkerLink& link, WorkerEngine& engine, const RemoteWorkerOptions& options)
      : link_(link), engine_(engine), options_(options), heartbeat_(link, options.report_seconds) {
    events_.token = [this](uint64_t job, data::TokenId token, float logprob) {
      Live& live = live_.at(job);
      live.tokens.push_back(token);
      live.logprobs.push_back(logprob);
      ++heartbeat_.tokens;
    };
    events_.ended = [this](uint64_t job, data::FinishReason finish, std::string text) {
      end(job, finish, std::move(text));
    };
    events_.refused = [this](uint64_t job, const std::string& reason) { refuse(job, reason); };
  }

  Status run() {
    link_.send(wire::Hello{options_.who});
    while (!ended_) {
      if (stop_requested()) return leave(cancelled("stopped"));
      LS_RETURN_IF_ERROR(take_messages());
      if (!engine_.idle()) LS_RETURN_IF_ERROR(step());
    }
    return ok_status();
  }

  // The engine outlives the session and must be idle for the next one.
  ~Session() {
    for (const auto& [job, live] : live_) engine_.drop(job);
  }

 private:
  struct Live {
    size_t sent = 0;  // tokens of the response that the coordinator has
    std::vector<data::TokenId> tokens;
    std::vector<float> logprobs;
  };

  // Waits for a message only if there is nothing else to do.
  Status take_messages() {
    double wait = engine_.idle() ? kIdleSeconds : 0;
    while (!ended_) {
      LS_ASSIGN_OR_RETURN(auto message, link_.receive(Deadline::after_seconds(wait)));
      if (!message) return ok_status();
      LS_RETURN_IF_ERROR(std::visit([&](auto& m) { return handle(m); }, *message));
      wait = 0;
    }
    return ok_status();
  }

  Status handle(wire::Welcome& message) {
    settings_ = std::move(message.settings);
    return ok_status();
  }

  Status handle(wire::NewWeights& message) {
    flush_all();  // a piece is of one version
    LS_RETURN_IF_ERROR(engine_.load(settings_, message.version, message.source));
    version_ = message.version;
    link_.send(wire::Ready{message.version});
    return ok_status();
  }

  Status handle(wire::Jobs& message) {
    LS_ASSIGN_OR_RETURN(const EngineOptions options, sampling_from_json(message.sampling));
    for (wire::Job& job : message.jobs) add(std::move(job), options);
    return ok_status();
  }

  Status handle(wire::Drop& message) {
    for (const uint64_t job : message.ids) {
      engine_.drop(job);
      live_.erase(job);
    }
    return ok_status();
  }

  Status handle(wire::Release&) {
    for (const auto& [job, live] : std::exchange(live_, {})) engine_.drop(job);
    engine_.release();
    return ok_status();
  }

  Status handle(wire::End& message) {
    log::info("the run has ended: {}", message.reason);
    ended_ = true;
    return ok_status();
  }

  void add(wire::Job job, const EngineOptions& options) {
    const uint64_t id = job.id;
    live_[id].sent = job.sample.tokens.size();
    const Status added = engine_.add(std::move(job), options);
    if (!added.ok()) refuse(id, added.message());
  }

  void refuse(uint64_t job, const std::string& reason) {
    live_.erase(job);
    link_.send(wire::JobError{job, reason});
  }

  Status step() {
    const Status done = engine_.advance(events_);
    if (!done.ok()) return leave(done);
    const bool late = since_flush_.seconds() >= options_.piece_seconds;
    if (late) since_flush_.restart();
    for (auto& [job, live] : live_)
      if (late || static_cast<int>(live.tokens.size()) >= options_.piece_tokens) flush(job, live);
    ++heartbeat_.steps;
    heartbeat_.running = engine_.running();
    heartbeat_.waiting = engine_.waiting();
    return ok_status();
  }

  wire::Piece piece_of(uint64_t job, Live& live) {
    wire::Piece piece{.job = job,
                      .begin = static_cast<int>(live.sent),
                      .tokens = std::exchange(live.tokens, {}),
                      .logprobs = std::exchange(live.logprobs, {}),
                      .version = version_,
                      .finished = false,
                      .finish = data::FinishReason::partial,
                      .text = ""};
    live.sent += piece.tokens.size();
    return piece;
  }

  void flush(uint64_t job, Live& live) {
    if (!live.tokens.empty()) link_.send(piece_of(job, live));
  }

  void flush_all() {
    for (auto& [job, live] : live_) flush(job, live);
  }

  // The last tokens and the reason of the end travel together.
  void end(uint64_t job, data::FinishReason finish, std::string text) {
    const auto it = live_.find(job);
    wire::Piece piece = piece_of(job, it->second);
    piece.finished = true;
    piece.finish = finish;
    piece.text = std::move(text);
    link_.send(std::move(piece));
    live_.erase(it);
  }

  // Sends what was generated before the connection ends, so that it need not be generated again.
  Status leave(const Status& reason) {
    flush_all();
    const Deadline patience = Deadline::after_seconds(1);
    while (link_.waiting() > 0 && !patience.expired())
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return reason;
  }

  wire::WorkerLink& link_;
  WorkerEngine& engine_;
  const RemoteWorkerOptions& options_;
  JobEvents events_;
  Json settings_;
  int64_t version_ = -1;
  bool ended_ = false;
  Stopwatch since_flush_;
  std::unordered_map<uint64_t, Live> live_;  // by job
  Heartbeat heartbeat_;
};

}  // namespace

Status serve_rollouts(wire::WorkerLink& link, WorkerEngine& engine,
                      const RemoteWorkerOptions& options) {
  return Session(link, engine, options).run();
}

}  // namespace longshot::rollout
