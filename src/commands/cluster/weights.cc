// longshot weights: holds the versions of a run's weights on this host, serves them to other hosts,
// and follows a peer.

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/bytes.h"
#include "base/log.h"
#include "base/os/stop.h"
#include "commands/cluster/access_flags.h"
#include "commands/cluster/cluster.h"
#include "commands/command.h"
#include "loop/cluster/access.h"
#include "loop/cluster/host_port.h"
#include "model/format/model_files.h"
#include "net/http_client.h"
#include "publish/engine/weight_fetch.h"
#include "publish/engine/weight_server.h"
#include "publish/engine/weights_source.h"

namespace longshot::commands {
namespace {

struct Options {
  publish::StoreOptions store;
  std::string folder, fallback;
  std::string listen = "127.0.0.1:8020", put;
  config::ClusterAccess access;  // without a url
  std::vector<std::string> peers;
  double poll_seconds = 0.5, fetch_seconds = 3600, grace = 10;
  bool list = false;
};

void print_version(const publish::Held& held) {
  const publish::Manifest& manifest = held->manifest();
  fmt::print("{} of run '{}': {} tensors, {:.1f} MiB, {}\n", to_string(id_of(manifest)),
             manifest.run, manifest.tensors.size(),
             static_cast<double>(manifest.total_bytes()) / kMiB, held->folder().string());
  std::fflush(stdout);
}

// Adds a model directory or GGUF file as the next version.
Status put_model(const std::string& path, publish::WeightStore& store) {
  LS_ASSIGN_OR_RETURN(const model::ModelFiles files, model::read_model(path));
  model::WeightsView view{files.config, 1, {}};
  const publish::Held held = store.latest();
  if (held) view.version = held->manifest().version + 1;
  for (const model::HostTensor& tensor : files.weights)
    view.tensors.push_back({tensor.name, tensor.shape, tensor.data.data()});
  publish::EngineSinkOptions options;
  options.epoch = held ? held->manifest().epoch : 0;
  publish::EngineSink sink(store, options);
  return sink.write(view).status();
}

// Fetches newer versions until a stop is requested. Failures are logged when they change.
void follow(const Options& options, const net::Credentials& credentials,
            publish::WeightStore& store) {
  const publish::FetchOptions fetching = {.credentials = credentials};
  std::string last_failure;
  do {
    const auto fetched = publish::fetch_newest(options.peers, store, fetching,
                                               Deadline::after_seconds(options.fetch_seconds));
    if (fetched.ok() && fetched->bytes > 0) print_version(fetched->version);
    const std::string failure = fetched.status().message();
    if (!failure.empty() && failure != last_failure && !stop_requested())
      log::warn("weights: {}", failure);
    last_failure = failure;
  } while (sleep_unless_stopped(Deadline::after_seconds(options.poll_seconds)));
}

Status serve(const Options& options, publish::WeightStore& store) {
  publish::WeightServerOptions serving;
  LS_ASSIGN_OR_RETURN(const loop::HostPort at, loop::parse_host_port(options.listen, "--listen"));
  serving.host = at.host;
  serving.port = at.port;
  for (const std::string& peer : options.peers)
    LS_RETURN_IF_ERROR(net::parse_url(peer, "--from").status());
  LS_ASSIGN_OR_RETURN(serving.credentials,
                      loop::read_credentials(options.access.token_file, options.access.tls_dir));
  for (const std::string& peer : options.peers)
    LS_RETURN_IF_ERROR(net::check_scheme(peer, serving.credentials));
  LS_ASSIGN_OR_RETURN(const auto server, publish::WeightServer::start(store, serving));
  fmt::print("weights of run '{}' on {}://{}:{}\n", store.run(),
             net::scheme_of(serving.credentials), serving.host, server->port());
  for (const publish::Held& held : store.held()) print_version(held);
  std::fflush(stdout);
  if (options.peers.empty()) {
    wait_for_stop();
  } else {
    follow(options, serving.credentials, store);
  }
  return server->stop(options.grace) ? ok_status()
                                     : cancelled("stopped while others were reading weights");
}

Status run(Options& options) {
  options.store.folder = options.folder;
  options.store.fallback = options.fallback;
  LS_ASSIGN_OR_RETURN(const auto store, publish::WeightStore::open(options.store));
  if (!options.put.empty()) LS_RETURN_IF_ERROR(put_model(options.put, *store));
  if (!options.list) return serve(options, *store);
  for (const publish::Held& held : store->held()) print_version(held);
  return ok_status();
}

void add_options(CLI::App& command, Options& options) {
  command.add_option("--run", options.store.run, "name of the run")->required();
  command.add_option("--store", options.folder,
                     "folder of the versions; default: /dev/shm/longshot-UID/RUN, in memory");
  command.add_option("--fallback", options.fallback,
                     "folder for versions that do not fit into the store, e.g. on disk");
  command.add_option("--listen", options.listen, "HOST:PORT to serve on; port 0 = any free one")
      ->capture_default_str();
  command.add_option(
      "--from", options.peers,
      "url of a peer, http://HOST:PORT or https://..., whose versions are fetched as they appear; "
      "may be repeated");
  add_credential_flags(command, options.access);
  command.add_option("--put", options.put, "first adds this model as the next version");
  command.add_flag("--list", options.list, "print the versions that are held, and end");
  command.add_option("--poll", options.poll_seconds, "seconds between two questions to the peers")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--fetch-seconds", options.fetch_seconds, "time limit of one fetch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--grace", options.grace,
                  "seconds that readers get after Ctrl-C or SIGTERM to finish")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace

void add_weights(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("weights", "Hold, serve and fetch the versions of a run's weights");
  add_options(*command, *options);
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands
