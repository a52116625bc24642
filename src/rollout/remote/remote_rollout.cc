#include "rollout/remote/remote_rollout.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/os/stop.h"
#include "rollout/remote/remote_rollout_impl.h"
#include "rollout/remote/sampling_json.h"

namespace longshot::rollout {
namespace {

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

Status RemoteRollout::Impl::start() {
  wire::LinkEvents events{
      .opened = [this](wire::LinkId link, const std::string& peer) { open(link, peer); },
      .received = [this](wire::LinkId link, wire::FromWorker m) { receive(link, m); },
      .closed = [this](wire::LinkId link) { forget(link, "the connection ended"); }};
  LS_ASSIGN_OR_RETURN(server_,
                      wire::WorkerServer::start(options_.listen, options_.link, std::move(events)));
  return ok_status();
}

void RemoteRollout::Impl::run_has_ended() {
  std::unique_lock lock(mutex_);
  for (const auto& [link, peer] : peers_) {
    server_->send(link, wire::End{"it is complete"});
    server_->close(link, unavailable("the run has ended"));
  }
  changed_.wait_for(lock, std::chrono::seconds(kFarewellSeconds), [&] { return peers_.empty(); });
}

Status RemoteRollout::Impl::load_weights(const model::WeightsView& weights) {
  // Only the caller's thread changes weights_, so it may read it without the lock.
  const bool offered = !weights_.empty() && weights_.back().version == weights.version;
  Json source;
  if (!offered) {
    LS_ASSIGN_OR_RETURN(source, options_.offer(weights));
  }
  std::lock_guard lock(mutex_);
  if (!offered) {
    weights_.push_back({weights.version, std::move(source)});
    arrivals_.loads = 0;
    arrivals_.load_seconds_max = 0;
  }
  if (weights_.size() > 2) weights_.pop_front();
  released_ = false;
  if (rounds_.empty()) send_newest();  // else each worker gets them when its jobs are done
  return ok_status();
}

// Messages arrive in order: the drops of the last round before this one, and jobs after weights.
void RemoteRollout::Impl::release() {
  std::lock_guard lock(mutex_);
  LS_CHECK(rounds_.empty(), "release() while a round is in flight");
  released_ = true;
  for (auto& [link, peer] : peers_) {
    if (!peer.admitted) continue;
    server_->send(link, wire::Release{});
    peer.sent = peer.version = -1;
    pool_.set_version(link, -1, now());
  }
}

Result<std::vector<data::Sample>> RemoteRollout::Impl::generate(
    std::vector<data::Sample> jobs, const EngineOptions& options,
    const std::function<void(const Progress&)>& on_progress, Metrics& metrics) {
  LS_ASSIGN_OR_RETURN(const std::vector<wire::Job> all, make_jobs(jobs, options));
  const Stopwatch watch;
  std::unique_lock lock(mutex_);
  LS_CHECK(!weights_.empty(), "generate() before load_weights()");
  LS_CHECK(rounds_.empty(), "generate() while a round is in flight");
  LS_CHECK(!released_, "generate() after release() without load_weights()");
  send_newest();
  begin(all, options);
  const Status done = wait_for_round(lock, options, on_progress);
  metrics = take_metrics(pool_.metrics(), pool_.new_tokens(), watch.seconds());
  before_.clear();
  std::vector<data::Sample> samples = pool_.end();
  send_orders();  // tells the workers to drop what is left
  LS_RETURN_IF_ERROR(done);
  return samples;
}

Json RemoteRollout::Impl::status() const {
  std::lock_guard lock(mutex_);
  Json workers = Json::array();
  for (const auto& [link, peer] : peers_) {
    if (!peer.admitted) continue;
    workers.push_back({{"name", peer.name},
                       {"host", peer.host},
                       {"address", peer.address},
                       {"engine", name_of(engine_of(peer.who))},
                       {"version", peer.version},
                       {"silent", pool_.is_silent(link)},
                       {"report", peer.report}});
  }
  const int64_t finished = pool_.finished();
  return {{"version", weights_.empty() ? -1 : weights_.back().version},
          {"round", round_},
          {"samples", finished + pool_.unfinished()},
          {"finished", finished},
          {"waiting", pool_.waiting()},
          {"tokens", pool_.new_tokens()},
          {"reissued", pool_.metrics().at("rollout/reissued")},
          {"workers", workers}};
}

// The checks of an engine in this process, for all jobs before any work is done.
Result<std::vector<wire::Job>> RemoteRollout::Impl::make_jobs(const std::vector<data::Sample>& jobs,
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

void RemoteRollout::Impl::begin(const std::vector<wire::Job>& jobs, const EngineOptions& options) {
  sampling_ = sampling_to_json(options);
  ++round_;
  failure_ = ok_status();
  ended_ = pool_.begin(jobs, weights_.back().version, now());
}

Status RemoteRollout::Impl::wait_for_round(
    std::unique_lock<std::mutex>& lock, const EngineOptions& options,
    const std::function<void(const Progress&)>& on_progress) {
  double complained = now();
  while (true) {
    hand_over(lock, options, on_progress);
    if (!failure_.ok()) return failure_;
    if (options_.check) LS_RETURN_IF_ERROR(options_.check());
    if (pool_.round_is_done()) return ok_status();
    if (is_interrupted(options)) return ok_status();
    send_orders();
    complain_without_workers(complained);
    changed_.wait_for(lock, std::chrono::duration<double>(kLookSeconds));
  }
}

void RemoteRollout::Impl::complain_without_workers(double& complained) const {
  if (pool_.ready_workers() > 0) {
    complained = now();
  } else if (now() - complained > kComplainSeconds) {
    complained = now();
    log::warn("no rollout worker is ready ({} connected); waiting", pool_.workers());
  }
}

// Calls the caller's functions without the lock.
void RemoteRollout::Impl::hand_over(std::unique_lock<std::mutex>& lock,
                                    const EngineOptions& options,
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

void RemoteRollout::Impl::send_orders() {
  std::vector<Order> orders = pool_.orders(now());
  for (const WorkerId worker : pool_.take_silent()) note_silence(worker);
  for (Order& order : orders) {
    if (!order.drop.empty()) server_->send(order.worker, wire::Drop{std::move(order.drop)});
    send_jobs(order.worker, order.jobs);
    if (order.load) send_weights(order.worker, *order.load);
  }
}

void RemoteRollout::Impl::send_weights(wire::LinkId link, int64_t version) {
  const auto weights = std::ranges::find(weights_, version, &wire::NewWeights::version);
  LS_CHECK(weights != weights_.end(), "rounds of at most two versions are in flight");
  Peer& peer = peers_.at(link);
  if (std::exchange(peer.sent, version) == version) return;
  peer.told = now();
  server_->send(link, *weights);
}

void RemoteRollout::Impl::send_newest() {
  for (const auto& [link, peer] : peers_)
    if (peer.admitted) send_weights(link, weights_.back().version);
}

void RemoteRollout::Impl::send_jobs(WorkerId worker, std::vector<wire::Job>& jobs) {
  for (size_t begin = 0; begin < jobs.size(); begin += kJobsPerMessage) {
    const auto first = jobs.begin() + static_cast<ptrdiff_t>(begin);
    const size_t count = std::min(kJobsPerMessage, jobs.size() - begin);
    wire::Jobs message{
        round_, rounds_.empty() ? sampling_ : sampling_of_.at(peers_.at(worker).version), {}};
    message.jobs.assign(std::make_move_iterator(first),
                        std::make_move_iterator(first + static_cast<ptrdiff_t>(count)));
    server_->send(worker, std::move(message));
  }
}

Metrics RemoteRollout::Impl::take_metrics(Metrics of_pool, int64_t new_tokens, double seconds) {
  Metrics out = std::move(of_pool);
  const double tokens = static_cast<double>(new_tokens);
  out["rollout/generated_tokens"] = tokens;
  out["rollout/seconds"] = seconds;
  out["rollout/tokens_per_second"] = seconds > 0 ? tokens / seconds : 0;
  out["rollout/workers"] = pool_.ready_workers();
  for (const auto& [host, count] : std::exchange(arrivals_.tokens, {}))
    out["rollout/host_tokens/" + host] = static_cast<double>(count);
  out["rollout/loads"] = static_cast<double>(arrivals_.loads);
  if (arrivals_.loads > 0) out["rollout/load_seconds_max"] = arrivals_.load_seconds_max;
  return out;
}

Status RemoteRollout::Impl::handle(wire::LinkId link, Peer& peer, wire::Hello& message) {
  peer.who = std::move(message.who);
  peer.name = text_of(peer.who, "name");
  peer.host = text_of(peer.who, "host");
  LS_RETURN_IF_ERROR(admit(peer.who));
  peer.admitted = true;
  log::info("worker {} at {} joins", peer.name, peer.address);
  note(RunEventKind::joined, link);
  pool_.join(link, slots_of(peer.who), now(), engine_of(peer.who));
  server_->send(link, wire::Welcome{options_.settings});
  // A worker that lost its connection may still have its weights.
  if (released_)
    server_->send(link, wire::Release{});
  else if (!weights_.empty())
    send_weights(link, weights_.back().version);
  return ok_status();
}

Status RemoteRollout::Impl::admit(const Json& who) const {
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

Status RemoteRollout::Impl::handle(wire::LinkId link, Peer& peer, const wire::Ready& message) {
  if (message.version == peer.sent && message.version != peer.version) {
    ++arrivals_.loads;
    arrivals_.load_seconds_max = std::max(arrivals_.load_seconds_max, now() - peer.told);
  }
  peer.version = message.version;
  pool_.set_version(link, message.version, now());
  return ok_status();
}

Status RemoteRollout::Impl::handle(wire::LinkId link, Peer& peer, const wire::Piece& message) {
  if (peer.admitted) arrivals_.tokens[peer.host] += static_cast<int64_t>(message.tokens.size());
  LS_ASSIGN_OR_RETURN(const auto ended, pool_.receive(link, message, now()));
  if (ended && !rounds_.empty()) complete(*ended);
  if (ended && rounds_.empty()) ended_.push_back(*ended);
  return ok_status();
}

Status RemoteRollout::Impl::handle(wire::LinkId link, Peer&, const wire::JobError& message) {
  const Status refused = pool_.refuse(link, message);
  if (failure_.ok()) failure_ = refused;
  return invalid_argument("it cannot generate a sample: " + message.reason);
}

Status RemoteRollout::Impl::handle(wire::LinkId link, Peer& peer, wire::Report& message) {
  peer.report = std::move(message.figures);
  pool_.heard(link, now());
  return ok_status();
}

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

void RemoteRollout::release() {
  impl_->release();
}

void RemoteRollout::run_has_ended() {
  impl_->run_has_ended();
}

std::vector<RunEvent> RemoteRollout::take_events() {
  return impl_->take_events();
}

Json RemoteRollout::status() const {
  return impl_->status();
}

void RemoteRollout::set_cut(std::vector<data::Sample> samples) {
  impl_->set_cut(std::move(samples));
}

Status RemoteRollout::begin_round(RoundRequest request) {
  return impl_->begin_round(std::move(request));
}

Result<RoundResult> RemoteRollout::end_round(bool finish_when_stopped) {
  return impl_->end_round(finish_when_stopped);
}

void RemoteRollout::abandon_rounds() {
  impl_->abandon_rounds();
}

}  // namespace longshot::rollout
