#include "loop/cluster/rollout_worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "base/os/machine.h"
#include "base/os/stop.h"
#include "cluster/registration.h"
#include "inference/fingerprint.h"
#include "loop/cluster/access.h"
#include "loop/cluster/host_port.h"
#include "model/format/model_files.h"
#include "model/torch/runtime.h"
#include "model/weights.h"
#include "net/bulk/http_get.h"
#include "publish/engine/peers.h"
#include "publish/engine/weight_fetch.h"
#include "publish/engine/weight_server.h"
#include "publish/engine/weights_source.h"
#include "rollout/remote/backend/server_engine.h"
#include "rollout/remote/local_engine.h"
#include "rollout/remote/remote_worker.h"

namespace longshot::loop {
namespace {

constexpr double kCallSeconds = 2;       // for one call of the directory
constexpr double kFetchSeconds = 3600;   // for one version of the weights
constexpr double kComplainSeconds = 30;  // between two lines that say what is waited for
constexpr double kLongestPause = 2;      // between two attempts to reach the coordinator
constexpr int kReaders = 64;
constexpr uint64_t kMostHealth = 4096;  // bytes

// Whether an attempt that ended in this way is worth another one: the coordinator is away, or the
// version that it named was replaced or damaged on the way.
bool may_pass(StatusCode code) {
  return code == StatusCode::unavailable || code == StatusCode::timeout ||
         code == StatusCode::not_found || code == StatusCode::corrupt;
}

class Worker {
 public:
  Worker(const RolloutWorkerOptions& options, Access access)
      : options_(options), access_(std::move(access)) {}

  ~Worker() {
    if (server_ != nullptr) (void)server_->stop(0);
    if (store_ != nullptr) store_->leave(Deadline::after_seconds(1));
  }

  Status run() {
    LS_RETURN_IF_ERROR(start());
    const Stopwatch watch;
    double pause = 0, complained = 0;
    while (true) {
      const Status ended = attach();
      if (ended.ok() || !may_pass(ended.code())) return ended;
      if (served_) pause = complained = 0;
      if (served_ || watch.seconds() >= complained) {
        complained = watch.seconds() + kComplainSeconds;
        log::info("waiting: {}", ended.message());
      }
      served_ = false;
      pause = std::min(kLongestPause, 0.1 + 2 * pause);
      if (!sleep_unless_stopped(Deadline::after_seconds(pause))) return cancelled("stopped");
    }
  }

 private:
  Status start() {
    threads_ = model::configure_compute(options_.threads);
    name_ = options_.name.empty() ? fmt::format("{}-{}", host_name(), ::getpid()) : options_.name;
    LS_RETURN_IF_ERROR(model::check_device(options_.device));
    LS_ASSIGN_OR_RETURN(store_, publish::WeightStore::open(
                                    {.run = access_.url.run, .folder = options_.weights_dir}));
    LS_ASSIGN_OR_RETURN(const HostPort at, parse_host_port(options_.listen, "--listen"));
    LS_ASSIGN_OR_RETURN(server_,
                        publish::WeightServer::start(*store_, {.host = at.host,
                                                               .port = at.port,
                                                               .credentials = access_.credentials,
                                                               .readers = kReaders}));
    own_url_ = fmt::format("{}://{}:{}", net::scheme_of(access_.credentials),
                           reachable_host(at, options_.advertise), server_->port());
    pool_ = std::make_unique<ThreadPool>(threads_);
    return make_worker_engine();
  }

  bool has_servers() const { return options_.servers.kind != data::EngineKind::longshot; }

  Status make_worker_engine() {
    if (!has_servers()) {
      worker_engine_ = std::make_unique<rollout::LocalEngine>(
          [this](const Json& settings, int64_t, const Json& source) {
            return load(settings, source);
          });
      return ok_status();
    }
    rollout::ServerEngineOptions& servers = servers_;
    servers.kind = options_.servers.kind;
    servers.key = options_.servers.api_key;
    servers.silence_seconds = options_.servers.silence_seconds;
    servers.most_gap = options_.servers.most_gap;
    for (const std::string& url : options_.servers.urls) {
      LS_ASSIGN_OR_RETURN(net::Url parsed, net::parse_url(url, "--url"));
      servers.urls.push_back(std::move(parsed));
    }
    if (servers.urls.empty())
      return invalid_argument("--backend needs --url, the address of the server");
    servers.fetch = [this](const Json& settings, int64_t, const Json& source) {
      return serve(settings, source);
    };
    worker_engine_ = rollout::make_server_engine(servers);
    return ok_status();
  }

  // Finds the coordinator and works for it until the connection ends.
  Status attach() {
    if (ended()) return ok_status();
    if (has_servers()) LS_RETURN_IF_ERROR(rollout::check_reachable(servers_));
    LS_ASSIGN_OR_RETURN(const Coordinator coordinator,
                        find_coordinator(access_, Deadline::after_seconds(kCallSeconds)));
    LS_RETURN_IF_ERROR(try_tls(coordinator));
    LS_ASSIGN_OR_RETURN(const rollout::RemoteWorkerOptions worker,
                        worker_options(coordinator.settings.limits));
    LS_ASSIGN_OR_RETURN(link_, wire::WorkerLink::dial(coordinator.address, access_.credentials));
    log::info("connecting to {} at {}", coordinator.name, coordinator.address);
    const Stopwatch watch;
    const Status ended = rollout::serve_rollouts(*link_, *worker_engine_, worker);
    link_.reset();
    served_ = served_ || watch.seconds() > kLongestPause;
    return ended;
  }

  // A worker that has worked for the run ends with it; one that has not waits for it to begin.
  bool ended() {
    if (!has_worked_) return false;
    const auto complete = access_.directory->get(kComplete, Deadline::after_seconds(kCallSeconds));
    if (!complete.ok() || complete->revision == 0) return false;
    log::info("the run has ended");
    return true;
  }

  // gRPC does not say why TLS fails. The coordinator's other port, with the same files, does.
  Status try_tls(const Coordinator& coordinator) {
    if (!access_.credentials.tls) return ok_status();
    LS_ASSIGN_OR_RETURN(const net::Url url,
                        net::parse_url(coordinator.url + "/v1/healthz", "the coordinator"));
    return net::http_get(url, access_.credentials, kMostHealth,
                         Deadline::after_seconds(kCallSeconds))
        .status();
  }

  Result<rollout::RemoteWorkerOptions> worker_options(const rollout::RunnerLimits& limits) {
    rollout::RemoteWorkerOptions out;
    LS_ASSIGN_OR_RETURN(const std::string print, fingerprint(limits));
    out.who = {{"name", name_},
               {"host", host_name()},
               {"pid", ::getpid()},
               {"protocol", wire::kProtocol},
               {"slots", options_.slots > 0 ? options_.slots : limits.max_running},
               {"threads", threads_},
               {"fingerprint", print}};
    out.who["engine"] = name_of(options_.servers.kind);
    return out;
  }

  // Nothing is known of the arithmetic of another engine.
  Result<std::string> fingerprint(const rollout::RunnerLimits& limits) const {
    if (has_servers()) return std::string(name_of(options_.servers.kind));
    return inference::fingerprint({.runner = options_.runner,
                                   .device = options_.device,
                                   .dtype = limits.weights,
                                   .kv_dtype = limits.kv});
  }

  // For servers of another engine.
  Result<rollout::ServedModel> serve(const Json& settings_json, const Json& source_json) {
    has_worked_ = true;
    LS_ASSIGN_OR_RETURN(const WorkerSettings settings, worker_settings_from_json(settings_json));
    LS_ASSIGN_OR_RETURN(const WeightsSource source, weights_source_from_json(source_json));
    LS_ASSIGN_OR_RETURN(held_, fetch(source));
    LS_ASSIGN_OR_RETURN(model::ModelFiles files,
                        model::read_hf_description(held_->folder().string()));
    tokenizer_ = std::move(files.tokenizer);
    rollout::ServedModel out{.folder = std::filesystem::absolute(held_->folder()).string(),
                             .version = publish::to_string(source.id),
                             .vocab_size = files.config.vocab_size,
                             .tokenizer = tokenizer_.get()};
    if (options_.servers.verify) {
      out.score = [this, settings](const auto& prompt, const auto& tokens) {
        return score(settings, prompt, tokens);
      };
    }
    return out;
  }

  // The log-probabilities of given tokens. The engine's memory is needed for this moment only.
  Result<std::vector<float>> score(WorkerSettings settings,
                                   const std::vector<data::TokenId>& prompt,
                                   const std::vector<data::TokenId>& tokens) {
    settings.limits.max_running = 1;
    settings.limits.max_sequence = static_cast<int>(prompt.size() + tokens.size());
    settings.limits.kv_blocks = 0;
    LS_ASSIGN_OR_RETURN(const publish::HeldWeights weights, publish::open_weights(held_, *pool_));
    LS_ASSIGN_OR_RETURN(const auto engine, new_engine(settings));
    LS_RETURN_IF_ERROR(engine->load_weights(weights.view));
    rollout::EngineOptions options;
    options.sampling.max_response_length = static_cast<int>(tokens.size());
    options.repetition.enabled = false;
    options.forced_of = [&](const data::Sample&) { return tokens; };
    data::Sample sample;
    sample.prompt_tokens = prompt;
    sample.finish = data::FinishReason::partial;
    LS_ASSIGN_OR_RETURN(const auto samples, engine->generate({sample}, options));
    return samples.front().logprobs;
  }

  Result<rollout::Engine*> load(const Json& settings_json, const Json& source_json) {
    served_ = has_worked_ = true;
    LS_ASSIGN_OR_RETURN(const WorkerSettings settings, worker_settings_from_json(settings_json));
    LS_ASSIGN_OR_RETURN(const WeightsSource source, weights_source_from_json(source_json));
    LS_ASSIGN_OR_RETURN(const publish::Held held, fetch(source));
    LS_ASSIGN_OR_RETURN(const publish::HeldWeights weights, publish::open_weights(held, *pool_));
    if (engine_ == nullptr || to_json(settings) != made_for_)
      LS_RETURN_IF_ERROR(make_engine(settings, *held));
    LS_RETURN_IF_ERROR(engine_->load_weights(weights.view));
    log::debug("generates with {}", publish::to_string(source.id));
    return engine_.get();
  }

  Result<publish::Held> fetch(const WeightsSource& source) {
    const Deadline deadline = Deadline::after_seconds(kFetchSeconds);
    LS_ASSIGN_OR_RETURN(const publish::Manifest manifest,
                        publish::fetch_manifest(source.url, access_.url.run, source.id,
                                                access_.credentials, deadline));
    if (checksum(publish::to_json(manifest)) != source.fingerprint)
      return corrupt(fmt::format(
          "{} serves {} of another run that is also called '{}': give one of them another name, or "
          "another cluster.weights_dir",
          source.url, publish::to_string(source.id), access_.url.run));
    publish::FetchOptions options{.credentials = access_.credentials};
    options.wanted = [this] { return !link_->ended(); };
    serve_others();
    LS_ASSIGN_OR_RETURN(const publish::Fetched fetched,
                        publish::fetch(manifest, peers(source.url), *store_, options, deadline));
    if (fetched.bytes > 0)
      log::debug("{}: {} bytes in {:.2f} s", publish::to_string(source.id), fetched.bytes,
                 fetched.seconds);
    return fetched.version;
  }

  // The coordinator, and the workers that have said that they serve weights.
  std::vector<std::string> peers(const std::string& coordinator) {
    std::vector<std::string> out{coordinator};
    const auto hosts = access_.directory->list(kHosts, Deadline::after_seconds(kCallSeconds));
    if (!hosts.ok()) return out;  // the coordinator alone is enough
    for (const cluster::Entry& entry : hosts->entries) {
      const auto json = parse_json(entry.value, entry.key);
      const auto url = json.ok() ? json_get<std::string>(*json, "url", entry.key) : json.status();
      if (url.ok() && *url != own_url_) out.push_back(*url);
    }
    return out;
  }

  // Other hosts may fetch from this one, including what it already has of a version that it is
  // fetching.
  void serve_others() {
    if (registration_ != nullptr) return;
    auto entered = cluster::Registration::start(*access_.directory, kHosts + own_url_,
                                                Json{{"url", own_url_}, {"host", host_name()}}, {},
                                                Deadline::after_seconds(kCallSeconds));
    if (entered.ok()) registration_ = std::move(entered).value();
  }

  // A version of the store is a model directory, with the tokenizer.
  Status make_engine(const WorkerSettings& settings, const publish::HeldVersion& held) {
    engine_.reset();
    LS_ASSIGN_OR_RETURN(model::ModelFiles files,
                        model::read_hf_description(held.folder().string()));
    tokenizer_ = std::move(files.tokenizer);
    LS_ASSIGN_OR_RETURN(engine_, new_engine(settings));
    made_for_ = to_json(settings);
    return ok_status();
  }

  Result<std::unique_ptr<rollout::Engine>> new_engine(const WorkerSettings& settings) const {
    rollout::RunnerLimits limits = settings.limits;
    if (options_.slots > 0) limits.max_running = options_.slots;
    LS_ASSIGN_OR_RETURN(auto runner, inference::make_runner({.runner = options_.runner,
                                                             .device = options_.device,
                                                             .dtype = settings.limits.weights,
                                                             .kv_dtype = settings.limits.kv},
                                                            limits, threads_));
    return std::make_unique<rollout::Engine>(std::move(runner), tokenizer_.get(), threads_);
  }

  const RolloutWorkerOptions options_;
  Access access_;
  std::string name_, own_url_;
  int threads_ = 1;
  bool served_ = false;  // since the last attempt
  bool has_worked_ = false;
  std::unique_ptr<publish::WeightStore> store_;
  std::unique_ptr<publish::WeightServer> server_;
  std::unique_ptr<cluster::Registration> registration_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  std::unique_ptr<rollout::Engine> engine_;
  std::unique_ptr<wire::WorkerLink> link_;  // while there is a connection
  Json made_for_;
  publish::Held held_;  // that servers of another engine load
  rollout::ServerEngineOptions servers_;
  std::unique_ptr<rollout::WorkerEngine> worker_engine_;  // last: it uses the members above
};

}  // namespace

Status run_rollout_worker(const RolloutWorkerOptions& options) {
  LS_ASSIGN_OR_RETURN(Access access, open_access(options.access));
  return Worker(options, std::move(access)).run();
}

}  // namespace longshot::loop
