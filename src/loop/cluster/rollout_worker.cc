#include "loop/cluster/rollout_worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/log.h"
#include "base/os/machine.h"
#include "base/os/stop.h"
#include "cluster/cluster_url.h"
#include "cluster/etcd.h"
#include "cluster/registration.h"
#include "inference/fingerprint.h"
#include "loop/cluster/host_port.h"
#include "loop/cluster/settings.h"
#include "model/format/model_files.h"
#include "model/torch/runtime.h"
#include "model/weights.h"
#include "publish/engine/peers.h"
#include "publish/engine/weight_fetch.h"
#include "publish/engine/weight_server.h"
#include "publish/engine/weights_source.h"
#include "rollout/remote/remote_worker.h"

namespace longshot::loop {
namespace {

constexpr double kCallSeconds = 2;       // for one call of the directory
constexpr double kFetchSeconds = 3600;   // for one version of the weights
constexpr double kComplainSeconds = 30;  // between two lines that say what is waited for
constexpr double kLongestPause = 2;      // between two attempts to reach the coordinator
constexpr int kReaders = 64;

// Whether an attempt that ended in this way is worth another one: the coordinator is away, or the
// version that it named was replaced or damaged on the way.
bool may_pass(StatusCode code) {
  return code == StatusCode::unavailable || code == StatusCode::timeout ||
         code == StatusCode::not_found || code == StatusCode::corrupt;
}

class Worker {
 public:
  Worker(const RolloutWorkerOptions& options, cluster::ClusterUrl url)
      : options_(options), url_(std::move(url)) {}

  ~Worker() {
    if (server_ != nullptr) (void)server_->stop(0);
    if (store_ != nullptr) (void)store_->clear(Deadline::after_seconds(1));
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
        log::info("waiting for a coordinator: {}", ended.message());
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
    LS_ASSIGN_OR_RETURN(token_, read_token(options_.token_file));
    directory_ = cluster::make_etcd_directory(url_);
    LS_ASSIGN_OR_RETURN(
        store_, publish::WeightStore::open({.run = url_.run, .folder = options_.weights_dir}));
    LS_ASSIGN_OR_RETURN(const HostPort at, parse_host_port(options_.listen, "--listen"));
    LS_ASSIGN_OR_RETURN(
        server_,
        publish::WeightServer::start(
            *store_, {.host = at.host, .port = at.port, .token = token_, .readers = kReaders}));
    own_url_ = fmt::format("http://{}:{}", reachable_host(at, options_.advertise), server_->port());
    pool_ = std::make_unique<ThreadPool>(threads_);
    return ok_status();
  }

  // Finds the coordinator and works for it until the connection ends.
  Status attach() {
    LS_ASSIGN_OR_RETURN(const cluster::Entry entry,
                        directory_->get(kAddress, Deadline::after_seconds(kCallSeconds)));
    if (entry.revision == 0) return no_coordinator();
    LS_ASSIGN_OR_RETURN(const Json json, parse_json(entry.value, kAddress));
    LS_ASSIGN_OR_RETURN(const Coordinator coordinator, coordinator_from_json(json));
    LS_ASSIGN_OR_RETURN(const rollout::RemoteWorkerOptions worker,
                        worker_options(coordinator.settings.limits));
    LS_ASSIGN_OR_RETURN(link_,
                        wire::WorkerLink::dial(coordinator.address, {.token = token_, .tls = {}}));
    log::info("connecting to {} at {}", coordinator.name, coordinator.address);
    const Status ended = rollout::serve_rollouts(*link_, worker);
    link_.reset();
    return ended;
  }

  // A worker that has worked for the run ends with it; one that has not waits for it to begin.
  Status no_coordinator() {
    const auto complete = directory_->get(kComplete, Deadline::after_seconds(kCallSeconds));
    if (engine_ != nullptr && complete.ok() && complete->revision > 0) {
      log::info("the run has ended");
      return ok_status();
    }
    return unavailable("the run '" + url_.run + "' has no coordinator now");
  }

  Result<rollout::RemoteWorkerOptions> worker_options(const rollout::RunnerLimits& limits) {
    rollout::RemoteWorkerOptions out;
    LS_ASSIGN_OR_RETURN(const std::string print, inference::fingerprint({.runner = options_.runner,
                                                                         .device = options_.device,
                                                                         .dtype = limits.weights,
                                                                         .kv_dtype = limits.kv}));
    out.who = {{"name", name_},
               {"host", host_name()},
               {"pid", ::getpid()},
               {"protocol", wire::kProtocol},
               {"slots", options_.slots > 0 ? options_.slots : limits.max_running},
               {"threads", threads_},
               {"fingerprint", print}};
    out.load = [this](const Json& settings, int64_t, const Json& source) {
      return load(settings, source);
    };
    return out;
  }

  Result<rollout::Engine*> load(const Json& settings_json, const Json& source_json) {
    served_ = true;
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
                        publish::fetch_manifest(source.url, url_.run, source.id, token_, deadline));
    publish::FetchOptions options{.token = token_};
    options.wanted = [this] { return !link_->ended(); };
    LS_ASSIGN_OR_RETURN(const publish::Fetched fetched,
                        publish::fetch(manifest, peers(source.url), *store_, options, deadline));
    if (fetched.bytes > 0)
      log::debug("{}: {} bytes in {:.2f} s", publish::to_string(source.id), fetched.bytes,
                 fetched.seconds);
    serve_others();
    return fetched.version;
  }

  // The coordinator, and the workers that have said that they serve weights.
  std::vector<std::string> peers(const std::string& coordinator) {
    std::vector<std::string> out{coordinator};
    const auto hosts = directory_->list(kHosts, Deadline::after_seconds(kCallSeconds));
    if (!hosts.ok()) return out;  // the coordinator alone is enough
    for (const cluster::Entry& entry : hosts->entries) {
      const auto json = parse_json(entry.value, entry.key);
      const auto url = json.ok() ? json_get<std::string>(*json, "url", entry.key) : json.status();
      if (url.ok() && *url != own_url_) out.push_back(*url);
    }
    return out;
  }

  // From the first version on, other hosts may fetch from this one.
  void serve_others() {
    if (registration_ != nullptr) return;
    auto entered = cluster::Registration::start(*directory_, kHosts + name_,
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
    rollout::RunnerLimits limits = settings.limits;
    if (options_.slots > 0) limits.max_running = options_.slots;
    LS_ASSIGN_OR_RETURN(auto runner, inference::make_runner({.runner = options_.runner,
                                                             .device = options_.device,
                                                             .dtype = settings.limits.weights,
                                                             .kv_dtype = settings.limits.kv},
                                                            limits, threads_));
    engine_ = std::make_unique<rollout::Engine>(std::move(runner), tokenizer_.get(), threads_);
    made_for_ = to_json(settings);
    return ok_status();
  }

  const RolloutWorkerOptions options_;
  const cluster::ClusterUrl url_;
  std::string name_, token_, own_url_;
  int threads_ = 1;
  bool served_ = false;  // since the last attempt
  std::unique_ptr<cluster::Directory> directory_;
  std::unique_ptr<publish::WeightStore> store_;
  std::unique_ptr<publish::WeightServer> server_;
  std::unique_ptr<cluster::Registration> registration_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  std::unique_ptr<rollout::Engine> engine_;
  std::unique_ptr<wire::WorkerLink> link_;  // while there is a connection
  Json made_for_;
};

}  // namespace

Status run_rollout_worker(const RolloutWorkerOptions& options) {
  LS_ASSIGN_OR_RETURN(cluster::ClusterUrl url, cluster::parse_cluster_url(options.cluster));
  return Worker(options, std::move(url)).run();
}

}  // namespace longshot::loop
