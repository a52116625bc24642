#include "loop/cluster/status.h"

#include <fmt/format.h>

#include "base/progress_line.h"
#include "cluster/cluster_url.h"
#include "cluster/etcd.h"
#include "loop/cluster/settings.h"
#include "net/bulk/http_get.h"
#include "net/request_metrics.h"

namespace longshot::loop {
namespace {

constexpr double kCallSeconds = 5;
constexpr uint64_t kMostBytes = 16 << 20;

double number(const Json& json, const char* member) {
  const auto it = json.find(member);
  return it != json.end() && it->is_number() ? it->get<double>() : 0;
}

std::string text(const Json& json, const char* member) {
  const auto it = json.find(member);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

double sum_over_workers(const Json& status, const char* member) {
  double sum = 0;
  for (const Json& worker : status.at("workers")) sum += number(worker.at("report"), member);
  return sum;
}

int64_t ready_workers(const Json& status) {
  int64_t count = 0;
  for (const Json& worker : status.at("workers"))
    count += worker.at("version") == status.at("version") && worker.at("silent") == false;
  return count;
}

}  // namespace

std::string status_metrics(const Json& s) {
  const auto gauge = [](const char* name, const char* help, double value) {
    return net::metric_text(std::string("cluster_") + name, "gauge", help, value);
  };
  return gauge("workers", "rollout workers that are connected",
               static_cast<double>(s.at("workers").size())) +
         gauge("ready_workers", "of those, the ones with the current weights that are not silent",
               static_cast<double>(ready_workers(s))) +
         gauge("version", "version of the weights in force", number(s, "version")) +
         gauge("epoch", "number of the current leadership", number(s, "epoch")) +
         gauge("samples", "samples of the current round", number(s, "samples")) +
         gauge("samples_finished", "of those, the finished ones", number(s, "finished")) +
         gauge("samples_waiting", "of those, the ones that no worker has", number(s, "waiting")) +
         gauge("samples_reissued", "of those, the ones given to a further worker",
               number(s, "reissued")) +
         gauge("tokens", "tokens of the current round", number(s, "tokens")) +
         gauge("tokens_per_second", "tokens that all workers generate in a second",
               sum_over_workers(s, "tokens_per_second")) +
         gauge("running", "samples that workers are generating", sum_over_workers(s, "running"));
}

std::string status_table(const Json& s) {
  std::string out = fmt::format(
      "run {}, coordinator {}, epoch {:.0f}, weights version {:.0f}\n"
      "round {:.0f}: {:.0f} of {:.0f} samples, {:.0f} waiting, {:.0f} reissued, {} tokens\n"
      "{} workers, {} ready, {:.0f} tokens/s\n",
      text(s, "run"), text(s, "coordinator"), number(s, "epoch"), number(s, "version"),
      number(s, "round"), number(s, "finished"), number(s, "samples"), number(s, "waiting"),
      number(s, "reissued"), with_commas(static_cast<int64_t>(number(s, "tokens"))),
      s.at("workers").size(), ready_workers(s), sum_over_workers(s, "tokens_per_second"));
  if (s.at("workers").empty()) return out;
  out += fmt::format("\n{:<24} {:<24} {:>8} {:>8} {:>8} {:>10}  {}\n", "worker", "address",
                     "version", "running", "waiting", "tokens/s", "state");
  for (const Json& worker : s.at("workers")) {
    const Json& report = worker.at("report");
    const char* state = worker.at("silent") == true               ? "silent"
                        : worker.at("version") != s.at("version") ? "loading"
                                                                  : "ready";
    out += fmt::format("{:<24} {:<24} {:>8.0f} {:>8.0f} {:>8.0f} {:>10.0f}  {}\n",
                       text(worker, "name"), text(worker, "address"), number(worker, "version"),
                       number(report, "running"), number(report, "waiting"),
                       number(report, "tokens_per_second"), state);
  }
  return out;
}

std::vector<net::Route> status_routes(std::function<Json()> status) {
  return {{"GET", "/v1/cluster",
           [status](const net::Call&) { return net::Reply{.body = dump_json(status()) + "\n"}; }},
          {"GET", "/metrics", [status](const net::Call&) {
             return net::Reply{.content_type = "text/plain; version=0.0.4",
                               .body = status_metrics(status())};
           }}};
}

Result<Json> fetch_status(const std::string& cluster, const std::string& token_file) {
  LS_ASSIGN_OR_RETURN(const cluster::ClusterUrl url, cluster::parse_cluster_url(cluster));
  LS_ASSIGN_OR_RETURN(const std::string token, read_token(token_file));
  const auto directory = cluster::make_etcd_directory(url);
  LS_ASSIGN_OR_RETURN(const cluster::Entry entry,
                      directory->get(kAddress, Deadline::after_seconds(kCallSeconds)));
  if (entry.revision == 0) return unavailable("the run '" + url.run + "' has no coordinator now");
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(entry.value, kAddress));
  LS_ASSIGN_OR_RETURN(const Coordinator coordinator, coordinator_from_json(json));
  LS_ASSIGN_OR_RETURN(const net::Url page,
                      net::parse_url(coordinator.url + "/v1/cluster", "the coordinator's address"));
  const auto text = net::http_get(page, token, kMostBytes, Deadline::after_seconds(kCallSeconds));
  if (text.status().code() == StatusCode::invalid_argument) {
    return invalid_argument(text.status().message() +
                            "; --token-file names the file with the run's secret");
  }
  LS_RETURN_IF_ERROR(text.status());
  return parse_json(*text, coordinator.url);
}

}  // namespace longshot::loop
