#include "rollout/remote/remote_worker.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <unordered_map>

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
  Session(wire::WorkerLink& link, const RemoteWorkerOptions& options)
      : link_(link), options_(options), heartbeat_(link, options.report_seconds) {}

  Status run() {
    link_.send(wire::Hello{options_.who});
    while (!ended_) {
      if (stop_requested()) return leave();
      LS_RETURN_IF_ERROR(take_messages());
      if (busy()) LS_RETURN_IF_ERROR(step());
    }
    return ok_status();
  }

  ~Session() { abandon(); }

 private:
  struct Live {
    uint64_t job = 0;
    size_t sent = 0;  // tokens of the response that the coordinator has
    std::vector<data::TokenId> tokens;
    std::vector<float> logprobs;
  };

  bool busy() const { return engine_ != nullptr && !engine_->idle(); }

  // Waits for a message only if there is nothing else to do.
  Status take_messages() {
    double wait = busy() ? 0 : kIdleSeconds;
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
    for (auto& [id, live] : live_) flush(live);  // a piece is of one version
    LS_ASSIGN_OR_RETURN(engine_, options_.load(settings_, message.version, message.source));
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
      const auto it = id_of_.find(job);
      if (it == id_of_.end()) continue;  // has ended meanwhile
      (void)engine_->abort(it->second, data::FinishReason::aborted);
      live_.erase(it->second);
      id_of_.erase(it);
    }
    return ok_status();
  }

  Status handle(wire::End& message) {
    log::info("the run has ended: {}", message.reason);
    ended_ = true;
    return ok_status();
  }

  void add(wire::Job job, const EngineOptions& options) {
    if (engine_ == nullptr) return refuse(job.id, "it has no weights yet");
    Live live;
    live.job = job.id;
    live.sent = job.sample.tokens.size();
    Request request{.sample = std::move(job.sample),
                    .sampling = options.sampling,
                    .repetition = options.repetition,
                    .forced = std::move(job.forced),
                    .segment_tokens = job.segment_tokens};
    request.sampling.max_response_length = job.max_response_length;
    const auto id = engine_->add(std::move(request));
    if (!id.ok()) return refuse(live.job, id.status().message());
    speculate_ = options.speculation == Speculation::ngram;
    id_of_[live.job] = *id;
    live_[*id] = std::move(live);
  }

  void refuse(uint64_t job, const std::string& reason) { link_.send(wire::JobError{job, reason}); }

  Status step() {
    StepOptions options;
    options.speculate = speculate_;
    options.on_token = [&](int64_t id, const Choice& choice) {
      Live& live = live_.at(id);
      live.tokens.push_back(choice.token);
      live.logprobs.push_back(choice.logprob);
      ++heartbeat_.tokens;
      return true;
    };
    const Status done = engine_->step(options);
    if (!done.ok()) {
      if (!live_.empty()) refuse(live_.begin()->second.job, done.message());
      return done;
    }
    for (const Finished& finished : engine_->take_finished()) end(finished);
    const bool late = since_flush_.seconds() >= options_.piece_seconds;
    if (late) since_flush_.restart();
    for (auto& [id, live] : live_)
      if (late || static_cast<int>(live.tokens.size()) >= options_.piece_tokens) flush(live);
    ++heartbeat_.steps;
    heartbeat_.running = engine_->running();
    heartbeat_.waiting = engine_->waiting();
    return ok_status();
  }

  wire::Piece piece_of(Live& live) {
    wire::Piece piece{.job = live.job,
                      .begin = static_cast<int>(live.sent),
                      .tokens = std::exchange(live.tokens, {}),
                      .logprobs = std::exchange(live.logprobs, {}),
                      .version = engine_->runner().version(),
                      .finished = false,
                      .finish = data::FinishReason::partial,
                      .text = ""};
    live.sent += piece.tokens.size();
    return piece;
  }

  void flush(Live& live) {
    if (!live.tokens.empty()) link_.send(piece_of(live));
  }

  // The last tokens and the reason of the end travel together.
  void end(const Finished& finished) {
    const auto it = live_.find(finished.id);
    wire::Piece piece = piece_of(it->second);
    piece.finished = true;
    piece.finish = finished.sample.finish;
    piece.text = finished.sample.text;
    link_.send(std::move(piece));
    id_of_.erase(piece.job);
    live_.erase(it);
  }

  Status leave() {
    for (auto& [id, live] : live_) flush(live);
    const Deadline patience = Deadline::after_seconds(1);
    while (link_.waiting() > 0 && !patience.expired())
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return cancelled("stopped");
  }

  // The engine outlives the session and must be idle for the next one.
  void abandon() {
    for (const auto& [job, id] : id_of_) (void)engine_->abort(id, data::FinishReason::aborted);
  }

  wire::WorkerLink& link_;
  const RemoteWorkerOptions& options_;
  Json settings_;
  Engine* engine_ = nullptr;
  bool speculate_ = false, ended_ = false;
  Stopwatch since_flush_;
  std::unordered_map<int64_t, Live> live_;       // by the engine's id
  std::unordered_map<uint64_t, int64_t> id_of_;  // job -> the engine's id
  Heartbeat heartbeat_;
};

}  // namespace

Status serve_rollouts(wire::WorkerLink& link, const RemoteWorkerOptions& options) {
  return Session(link, options).run();
}

}  // namespace longshot::rollout
