#include "rollout/remote/remote_rollout.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "base/log.h"
#include "base/os/clock.h"
#include "base/os/stop.h"
#include "rollout/remote/pool.h"
#include "rollout/remote/sampling_json.h"
#include "wire/worker_server.h"

namespace longshot::rollout {
namespace {

// The pool is asked at least this often, so that silence is noticed and a stop is prompt.
constexpr double kLookSeconds = 0.1;
constexpr double kComplainSeconds = 30;
constexpr int kFarewellSeconds = 2;
// A message of so few jobs stays far below gRPC's limit, however long their samples are.
constexpr size_t kJobsPerMessage = 16;

std::string text_of(const Json& json, const char* member) {
  const auto it = json.find(member);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

data::EngineKind engine_of(const Json& who) {
  return value_of<data::EngineKind>(text_of(who, "engine")).value_or(data::EngineKind::longshot);
}

int slots_of(const Json& who) {
  const auto it = who.find("slots");
  return it != who.end() && it->is_number_integer() ? std::clamp(it->get<int>(), 1, 1 << 20) : 1;
}

}  // namespace

class RemoteRollout::Impl {
 public:
  explicit Impl(RemoteOptions options)
      : options_(std::move(options)), pool_({options_.silence_seconds}) {}

  Status start() {
    wire::LinkEvents events{
        .opened = [this](wire::LinkId link, const std::string& peer) { open(link, peer); },
        .received = [this](wire::LinkId link, wire::FromWorker m) { receive(link, m); },
        .closed = [this](wire::LinkId link) { forget(link, "the connection ended"); }};
    LS_ASSIGN_OR_RETURN(
        server_, wire::WorkerServer::start(options_.listen, options_.link, std::move(events)));
    return ok_status();
  }

  // Links end before the state that their events use.
  ~Impl() { server_.reset(); }

  void run_has_ended() {
    std::unique_lock lock(mutex_);
    for (const auto& [link, peer] : peers_) {
      server_->send(link, wire::End{"it is complete"});
      server_->close(link, unavailable("the run has ended"));
    }
    changed_.wait_for(lock, std::chrono::seconds(kFarewellSeconds), [&] { return peers_.empty(); });
  }

  int port() const { return server_->port(); }

  Status load_weights(const model::WeightsView& weights) {
    LS_ASSIGN_OR_RETURN(Json source, options_.offer(weights));
    std::lock_guard lock(mutex_);
    weights_ = {weights.version, std::move(source)};
    for (const auto& [link, peer] : peers_)
      if (peer.admitted) server_->send(link, *weights_);
    return ok_status();
  }

  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress, Metrics& metrics) {
    LS_ASSIGN_OR_RETURN(const std::vector<wire::Job> all, make_jobs(jobs, options));
    const Stopwatch watch;
    std::unique_lock lock(mutex_);
    LS_CHECK(weights_.has_value(), "generate() before load_weights()");
    begin(all, options);
    const Status done = wait_for_round(lock, options, on_progress);
    metrics = metrics_of(watch.seconds());
    std::vector<data::Sample> samples = pool_.end();
    send_orders();  // tells the workers to drop what is left
    LS_RETURN_IF_ERROR(done);
    return samples;
  }

  Json status() const {
    std::lock_guard lock(mutex_);
    Json workers = Json::array();
    for (const auto& [link, peer] : peers_) {
      if (!peer.admitted) continue;
      workers.push_back({{"name", peer.name},
                         {"host", text_of(peer.who, "host")},
                         {"address", peer.address},
                         {"engine", name_of(engine_of(peer.who))},
                         {"version", peer.version},
                         {"silent", pool_.is_silent(link)},
                         {"report", peer.report}});
    }
    const int64_t finished = pool_.finished();
    return {{"version", weights_ ? weights_->version : -1},
            {"round", round_},
            {"samples", finished + pool_.unfinished()},
            {"finished", finished},
            {"waiting", pool_.waiting()},
            {"tokens", pool_.new_tokens()},
            {"reissued", pool_.metrics().at("rollout/reissued")},
            {"workers", workers}};
  }

 private:
  struct Peer {
    std::string address, name;
    Json who, report;
    bool admitted = false;
    int64_t version = -1;
  };

  double now() const { return clock_.seconds(); }

  // The checks of an engine in this process, for all jobs before any work is done.
  Result<std::vector<wire::Job>> make_jobs(const std::vector<data::Sample>& jobs,
                                           const EngineOptions& options) const {
    if (options.token_budget != 0) {
      return invalid_argument(
          "rollout.token_budget does not work with remote workers: where it cuts a sample would "
          "depend on them; use rollout.segment_tokens");
    }
    std::vector<wire::Job> out;
    for (const data::Sample& sample : jobs) {
      Request request{sample, options.sampling, options.repetition};
      if (options.length_of) request.sampling.max_response_length = options.length_of(sample);
      if (options.forced_of) request.forced = options.forced_of(sample);
      request.segment_tokens = options.segment_tokens;
      LS_RETURN_IF_ERROR(
          check_request(request, options_.limits, options_.vocab_size, options_.has_tokenizer));
      out.push_back({.id = 0,
                     .sample = sample,
                     .max_response_length = request.sampling.max_response_length,
                     .segment_tokens = request.segment_tokens,
                     .forced = std::move(request.forced)});
    }
    return out;
  }

  // From here on the functions require mutex_.

  void begin(const std::vector<wire::Job>& jobs, const EngineOptions& options) {
    sampling_ = sampling_to_json(options);
    ++round_;
    failure_ = ok_status();
    ended_ = pool_.begin(jobs, weights_->version, now());
  }

  Status wait_for_round(std::unique_lock<std::mutex>& lock, const EngineOptions& options,
                        const std::function<void(const Progress&)>& on_progress) {
    double complained = now();
    while (true) {
      hand_over(lock, options, on_progress);
      if (!failure_.ok()) return failure_;
      if (options_.check) LS_RETURN_IF_ERROR(options_.check());
      if (pool_.round_is_done()) return ok_status();
      if (is_interrupted(options)) return ok_status();
      send_orders();
      if (pool_.ready_workers() > 0) {
        complained = now();
      } else if (now() - complained > kComplainSeconds) {
        complained = now();
        log::warn("no rollout worker is ready ({} connected); waiting", pool_.workers());
      }
      changed_.wait_for(lock, std::chrono::duration<double>(kLookSeconds));
    }
  }

  // Calls the caller's functions without the lock.
  void hand_over(std::unique_lock<std::mutex>& lock, const EngineOptions& options,
                 const std::function<void(const Progress&)>& on_progress) {
    const Progress progress{pool_.finished(), pool_.finished() + pool_.unfinished(),
                            pool_.new_tokens()};
    std::vector<data::Sample> ended;
    for (const size_t index : std::exchange(ended_, {}))
      if (pool_.sample(index).finish != data::FinishReason::partial)
        ended.push_back(pool_.sample(index));
    lock.unlock();
    if (options.on_finished)
      for (const data::Sample& sample : ended) options.on_finished(sample);
    if (on_progress) on_progress(progress);
    lock.lock();
  }

  void send_orders() {
    std::vector<Order> orders = pool_.orders(now());
    for (const WorkerId worker : pool_.take_silent()) {
      const Peer& peer = peers_.at(worker);
      log::warn("worker {} at {} has been silent for {} s; its samples are given to others as well",
                peer.name, peer.address, options_.silence_seconds);
    }
    for (Order& order : orders) {
      if (!order.drop.empty()) server_->send(order.worker, wire::Drop{std::move(order.drop)});
      send_jobs(order.worker, order.jobs);
    }
  }

  void send_jobs(WorkerId worker, std::vector<wire::Job>& jobs) {
    for (size_t begin = 0; begin < jobs.size(); begin += kJobsPerMessage) {
      const auto first = jobs.begin() + static_cast<ptrdiff_t>(begin);
      const size_t count = std::min(kJobsPerMessage, jobs.size() - begin);
      wire::Jobs message{round_, sampling_, {}};
      message.jobs.assign(std::make_move_iterator(first),
                          std::make_move_iterator(first + static_cast<ptrdiff_t>(count)));
      server_->send(worker, std::move(message));
    }
  }

  Metrics metrics_of(double seconds) const {
    Metrics out = pool_.metrics();
    const double tokens = static_cast<double>(pool_.new_tokens());
    out["rollout/generated_tokens"] = tokens;
    out["rollout/seconds"] = seconds;
    out["rollout/tokens_per_second"] = seconds > 0 ? tokens / seconds : 0;
    out["rollout/workers"] = pool_.ready_workers();
    return out;
  }

  // Events of links; each takes mutex_.

  void open(wire::LinkId link, const std::string& address) {
    std::lock_guard lock(mutex_);
    peers_[link].address = address;
  }

  void forget(wire::LinkId link, const std::string& why) {
    std::lock_guard lock(mutex_);
    const auto it = peers_.find(link);
    if (it == peers_.end()) return;
    if (it->second.admitted)
      log::info("worker {} at {} has left: {}", it->second.name, it->second.address, why);
    peers_.erase(it);
    pool_.leave(link);
    changed_.notify_all();
  }

  void receive(wire::LinkId link, wire::FromWorker& message) {
    std::lock_guard lock(mutex_);
    const auto it = peers_.find(link);
    if (it == peers_.end()) return;
    const Status sound = std::visit([&](auto& m) { return handle(link, it->second, m); }, message);
    if (!sound.ok()) turn_out(link, sound);
    changed_.notify_all();
  }

  void turn_out(wire::LinkId link, const Status& reason) {
    const auto it = peers_.find(link);
    log::warn("worker {} at {} is turned out: {}", it->second.name, it->second.address,
              reason.message());
    peers_.erase(it);
    pool_.leave(link);
    server_->close(link, reason);
  }

  Status handle(wire::LinkId link, Peer& peer, wire::Hello& message) {
    peer.who = std::move(message.who);
    peer.name = text_of(peer.who, "name");
    LS_RETURN_IF_ERROR(admit(peer.who));
    peer.admitted = true;
    log::info("worker {} at {} joins", peer.name, peer.address);
    pool_.join(link, slots_of(peer.who), now(), engine_of(peer.who));
    server_->send(link, wire::Welcome{options_.settings});
    if (weights_) server_->send(link, *weights_);
    return ok_status();
  }

  Status admit(const Json& who) const {
    const auto protocol = who.find("protocol");
    if (protocol == who.end() || *protocol != wire::kProtocol) {
      return invalid_argument(fmt::format(
          "it speaks another version of the protocol than {}: update it", wire::kProtocol));
    }
    const std::string engine = text_of(who, "engine");
    if (!engine.empty() && !value_of<data::EngineKind>(engine))
      return invalid_argument("its engine '" + engine + "' is not known here");
    const std::string own = text_of(who, "fingerprint");
    if (options_.fingerprint.empty() || own == options_.fingerprint) return ok_status();
    return invalid_argument(
        fmt::format("its arithmetic has the fingerprint '{}' and that of the run is '{}', so its "
                    "samples would differ; cluster.exact = false admits it",
                    own, options_.fingerprint));
  }

  Status handle(wire::LinkId link, Peer& peer, const wire::Ready& message) {
    peer.version = message.version;
    pool_.set_version(link, message.version, now());
    return ok_status();
  }

  Status handle(wire::LinkId link, Peer&, const wire::Piece& message) {
    LS_ASSIGN_OR_RETURN(const auto ended, pool_.receive(link, message, now()));
    if (ended) ended_.push_back(*ended);
    return ok_status();
  }

  Status handle(wire::LinkId link, Peer&, const wire::JobError& message) {
    failure_ = pool_.refuse(link, message);
    return invalid_argument("it cannot generate a sample: " + message.reason);
  }

  Status handle(wire::LinkId link, Peer& peer, wire::Report& message) {
    peer.report = std::move(message.figures);
    pool_.heard(link, now());
    return ok_status();
  }

  const RemoteOptions options_;
  const Stopwatch clock_;
  mutable std::mutex mutex_;  // guards the fields up to server_
  std::condition_variable changed_;
  Pool pool_;
  std::map<wire::LinkId, Peer> peers_;
  std::optional<wire::NewWeights> weights_;
  Json sampling_;
  int64_t round_ = 0;
  std::vector<size_t> ended_;  // samples that have ended and were not handed over
  Status failure_;
  std::unique_ptr<wire::WorkerServer> server_;
};

Result<std::unique_ptr<RemoteRollout>> RemoteRollout::start(RemoteOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  LS_RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<RemoteRollout>(new RemoteRollout(std::move(impl)));
}

RemoteRollout::RemoteRollout(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RemoteRollout::~RemoteRollout() = default;

int RemoteRollout::port() const {
  return impl_->port();
}

Result<std::vector<data::Sample>> RemoteRollout::generate(
    std::vector<data::Sample> jobs, const EngineOptions& options,
    const std::function<void(const Progress&)>& on_progress) {
  return impl_->generate(std::move(jobs), options, on_progress, metrics_);
}

Status RemoteRollout::load_weights(const model::WeightsView& weights) {
  return impl_->load_weights(weights);
}

void RemoteRollout::run_has_ended() {
  impl_->run_has_ended();
}

Json RemoteRollout::status() const {
  return impl_->status();
}

}  // namespace longshot::rollout
