#include "loop/cluster/cluster_rollout.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/log.h"
#include "base/os/fs.h"
#include "base/os/machine.h"
#include "base/os/stop.h"
#include "cluster/leadership.h"
#include "inference/fingerprint.h"
#include "loop/cluster/access.h"
#include "loop/cluster/host_port.h"
#include "loop/cluster/settings.h"
#include "loop/cluster/status.h"
#include "model/format/model_files.h"
#include "publish/engine/weight_server.h"
#include "publish/engine/weights_source.h"
#include "rollout/remote/remote_rollout.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

constexpr double kCallSeconds = 5;   // for one call of the directory
constexpr double kLeadSeconds = 20;  // for the lease of a coordinator that crashed to end
constexpr double kRetrySeconds = 0.05;
constexpr double kComplainSeconds = 30;  // between two lines that say what is waited for
constexpr int kReaders = 256;            // workers that fetch at the same time

std::string own_name() {
  return fmt::format("{}-{}", host_name(), ::getpid());
}

// The tokenizer's files by name, as a model directory has them.
Result<std::map<std::string, std::string>> tokenizer_files(const model::ModelConfig& model,
                                                           const tokenizer::Tokenizer& tokenizer) {
  std::string pattern = (fs::temp_directory_path() / "longshot-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    return io_error("cannot make a folder in " + fs::temp_directory_path().string());
  const Status written = model::write_model_description(pattern, model, &tokenizer, nullptr);
  std::map<std::string, std::string> files;
  Status read = written;
  for (const auto& entry : fs::directory_iterator(pattern)) {
    const std::string name = entry.path().filename().string();
    // The sink makes these from the weights that it is given.
    if (!read.ok() || name == "config.json" || name == "generation_config.json") continue;
    auto content = read_file(entry.path());
    read = content.status();
    if (content.ok()) files[name] = std::move(content).value();
  }
  std::error_code ignored;
  fs::remove_all(pattern, ignored);
  LS_RETURN_IF_ERROR(read);
  return files;
}

// Workers that generate in bf16 would round the weights in the same way, so half of the bytes are
// enough, and fewer still as a difference from the version before.
model::Dtype published_format(NumberFormat rollout) {
  return rollout == NumberFormat::bf16 ? model::Dtype::bf16 : model::Dtype::f32;
}

Status check_addresses(const config::ClusterOptions& options) {
  LS_RETURN_IF_ERROR(parse_host_port(options.listen, "cluster.listen").status());
  return parse_host_port(options.weights_listen, "cluster.weights_listen").status();
}

class ClusterRollout final : public rollout::Generator {
 public:
  ClusterRollout(const config::ClusterOptions& options, Access access)
      : options_(options),
        url_(std::move(access.url)),
        credentials_(std::move(access.credentials)),
        directory_(std::move(access.directory)) {}

  Status start(const config::TrainConfig& config, const rollout::RunnerLimits& limits,
               const model::ModelConfig& model, const tokenizer::Tokenizer& tokenizer) {
    LS_RETURN_IF_ERROR(check_addresses(options_));
    LS_RETURN_IF_ERROR(lead().with_context("cluster.url = \"" + options_.url + "\""));
    LS_RETURN_IF_ERROR(
        directory_->remove(kComplete, Deadline::after_seconds(kCallSeconds)));  // the run continues
    LS_RETURN_IF_ERROR(listen(config, limits, model));
    LS_RETURN_IF_ERROR(serve_weights(config, model, tokenizer));
    return announce();
  }

  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const rollout::EngineOptions& options,
      const std::function<void(const rollout::Progress&)>& on_progress) override {
    return remote_->generate(std::move(jobs), options, on_progress);
  }
  const Metrics& metrics() const override { return remote_->metrics(); }
  Status load_weights(const model::WeightsView& weights) override {
    return remote_->load_weights(weights);
  }
  void release() override { remote_->release(); }
  rollout::RoundGenerator* rounds() override { return remote_.get(); }
  std::vector<RunEvent> take_events() override { return remote_->take_events(); }
  // Workers that are not connected at this moment read it in the directory.
  void run_has_ended() override {
    const auto told =
        directory_->put(kComplete, own_name(), 0, Deadline::after_seconds(kCallSeconds));
    if (!told.ok())
      log::warn("workers may not learn that the run is complete: {}", told.status().message());
    remote_->run_has_ended();
  }

  // The next coordinator publishes the weights again, so they need not be kept.
  ~ClusterRollout() override {
    if (server_ != nullptr) (void)server_->stop(0);
    if (store_ != nullptr) store_->leave(Deadline::after_seconds(1));
  }

 private:
  Status lead() {
    cluster::LeadershipOptions options;
    options.on_lost = [] {
      log::warn("this process does not lead the run any more: its lease has ended");
    };
    options.on_back = [this] {
      log::info("this process leads the run '{}' again, epoch {}", url_.run, leadership_->epoch());
    };
    LS_ASSIGN_OR_RETURN(leadership_, cluster::Leadership::win(
                                         *directory_, kCoordinator, own_name(), std::move(options),
                                         Deadline::after_seconds(kLeadSeconds)));
    log::info("this process leads the run '{}', epoch {}", url_.run, leadership_->epoch());
    return ok_status();
  }

  Status serve_weights(const config::TrainConfig& config, const model::ModelConfig& model,
                       const tokenizer::Tokenizer& tokenizer) {
    LS_ASSIGN_OR_RETURN(
        store_, publish::WeightStore::open({.run = url_.run,
                                            .folder = options_.weights_dir,
                                            .fallback = config.trainer.output + "/weights"}));
    LS_ASSIGN_OR_RETURN(auto files, tokenizer_files(model, tokenizer));
    sink_ = std::make_unique<publish::EngineSink>(
        *store_, publish::EngineSinkOptions{.dtype = published_format(config.rollout.dtype),
                                            .only_products = true,
                                            .epoch = leadership_->epoch(),
                                            .files = std::move(files),
                                            .threads = usable_cores(inspect_machine())});
    LS_ASSIGN_OR_RETURN(const HostPort at,
                        parse_host_port(options_.weights_listen, "cluster.weights_listen"));
    publish::WeightServerOptions server{
        .host = at.host, .port = at.port, .credentials = credentials_, .readers = kReaders};
    server.routes = status_routes([this] { return status(); });
    LS_ASSIGN_OR_RETURN(server_, publish::WeightServer::start(*store_, server));
    weights_url_ = fmt::format("{}://{}:{}", net::scheme_of(credentials_),
                               reachable_host(at, options_.advertise), server_->port());
    return ok_status();
  }

  Status listen(const config::TrainConfig& config, const rollout::RunnerLimits& limits,
                const model::ModelConfig& model) {
    rollout::RemoteOptions remote;
    LS_ASSIGN_OR_RETURN(const HostPort at, parse_host_port(options_.listen, "cluster.listen"));
    remote.listen = to_string(at);
    remote.link = credentials_;
    remote.silence_seconds = options_.silence_seconds;
    settings_ = {.run = url_.run, .limits = limits};
    settings_.limits.weights = config.rollout.dtype;
    settings_.limits.kv = config.rollout.kv_dtype;
    remote.settings = to_json(settings_);
    remote.check = [this] { return still_leads(); };
    remote.offer = [this](const model::WeightsView& weights) { return offer(weights); };
    remote.limits = limits;
    remote.vocab_size = model.vocab_size;
    if (options_.exact) {
      LS_ASSIGN_OR_RETURN(fingerprint_,
                          inference::fingerprint({.runner = config.rollout.runner,
                                                  .device = config.machine.device,
                                                  .dtype = config.rollout.dtype,
                                                  .kv_dtype = config.rollout.kv_dtype}));
    }
    remote.fingerprint = fingerprint_;
    LS_ASSIGN_OR_RETURN(remote_, rollout::RemoteRollout::start(std::move(remote)));
    return ok_status();
  }

  Json status() const {
    Json out = remote_->status();
    out["run"] = url_.run;
    out["epoch"] = leadership_->epoch();
    out["coordinator"] = own_name();
    out["time"] =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    return out;
  }

  Status announce() {
    LS_ASSIGN_OR_RETURN(const HostPort at, parse_host_port(options_.listen, "cluster.listen"));
    const std::string address =
        fmt::format("{}:{}", reachable_host(at, options_.advertise), remote_->port());
    const Json value =
        to_json(Coordinator{address, own_name(), weights_url_, fingerprint_, settings_});
    LS_RETURN_IF_ERROR(
        leadership_->announce(kAddress, dump_json(value), Deadline::after_seconds(kCallSeconds)));
    log::info("rollout workers connect to {}: longshot worker --cluster {}", address, options_.url);
    return ok_status();
  }

  // A version is in force once it is committed, which only the holder of the lease can do.
  Result<Json> offer(const model::WeightsView& weights) {
    LS_ASSIGN_OR_RETURN(const publish::Held held, sink_->write(weights));
    const WeightsSource source{publish::id_of(held->manifest()), weights_url_,
                               checksum(held->manifest_text())};
    Json value = to_json(source);
    LS_RETURN_IF_ERROR(commit(dump_json(value)));
    return value;
  }

  // Waits while the directory is away. Error: another process leads.
  Status commit(const std::string& value) {
    const Stopwatch watch;
    double complained = 0;
    while (true) {
      LS_RETURN_IF_ERROR(still_leads());
      const auto done =
          leadership_->put(kCurrentWeights, value, Deadline::after_seconds(kCallSeconds));
      if (done.ok() && *done) return ok_status();
      if (!done.ok() && done.status().code() != StatusCode::unavailable) return done.status();
      if (watch.seconds() >= complained) {
        complained = watch.seconds() + kComplainSeconds;
        log::warn("new weights wait for the cluster's directory: {}",
                  done.ok() ? "the lease was lost" : done.status().message());
      }
      if (!sleep_unless_stopped(Deadline::after_seconds(kRetrySeconds)))
        return cancelled("stopped");
    }
  }

  Status still_leads() const {
    const Status lost = leadership_->check();
    if (lost.ok()) return lost;
    return unavailable(fmt::format(
        "the run '{}': {}; the same command continues from the last checkpoint once the other "
        "process has ended",
        url_.run, lost.message()));
  }

  const config::ClusterOptions options_;
  const cluster::ClusterUrl url_;
  const net::Credentials credentials_;
  std::string weights_url_, fingerprint_;
  WorkerSettings settings_;
  const std::unique_ptr<cluster::Directory> directory_;
  std::unique_ptr<publish::WeightStore> store_;
  std::unique_ptr<publish::EngineSink> sink_;
  std::unique_ptr<rollout::RemoteRollout> remote_;
  std::unique_ptr<publish::WeightServer> server_;    // shows the status of remote_
  std::unique_ptr<cluster::Leadership> leadership_;  // last: it names what is above
};

}  // namespace

Result<std::unique_ptr<rollout::Generator>> make_cluster_rollout(
    const config::TrainConfig& config, const rollout::RunnerLimits& limits,
    const model::ModelConfig& model, const tokenizer::Tokenizer& tokenizer) {
  LS_ASSIGN_OR_RETURN(Access access, open_access(config.cluster));
  auto rollout = std::make_unique<ClusterRollout>(config.cluster, std::move(access));
  LS_RETURN_IF_ERROR(rollout->start(config, limits, model, tokenizer));
  return std::unique_ptr<rollout::Generator>(std::move(rollout));
}

Status check_cluster(const config::ClusterOptions& options) {
  LS_RETURN_IF_ERROR(check_addresses(options));
  LS_ASSIGN_OR_RETURN(const Access access, open_access(options));
  return access.directory->get(kAddress, Deadline::after_seconds(kCallSeconds)).status();
}

}  // namespace longshot::loop
