#include "track/mlflow.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "base/text/base64.h"

namespace longshot::track {
namespace {

// Limits of one log-batch request.
constexpr size_t kMaxMetrics = 1000, kMaxSettings = 100, kMaxText = 500;
constexpr const char* kApi = "/api/2.0/mlflow/";
constexpr const char* kArtifacts = "/api/2.0/mlflow-artifacts/artifacts/";
constexpr const char* kArtifactScheme = "mlflow-artifacts:/";

int64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::map<std::string, std::string> login() {
  const std::string token = environment("MLFLOW_TRACKING_TOKEN");
  if (!token.empty()) return {{"Authorization", "Bearer " + token}};
  const std::string user = environment("MLFLOW_TRACKING_USERNAME");
  if (user.empty()) return {};
  return {{"Authorization",
           "Basic " + to_base64(user + ":" + environment("MLFLOW_TRACKING_PASSWORD"))}};
}

// At most `limit` bytes of UTF-8, in whole characters.
std::string cut(const std::string& text, size_t limit) {
  size_t size = std::min(text.size(), limit);
  while (size < text.size() && size > 0 && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80)
    --size;
  return text.substr(0, size);
}

std::string table_path(int64_t step) {
  return fmt::format("samples/held_out_{:06d}.json", step);
}

// A name that MLflow accepts (mlflow/utils/validation.py): letters, digits, "_-. /" and no path
// that another spelling also means. Other characters become "_".
std::string name_for(const std::string& name) {
  constexpr size_t kMaxName = 250;
  std::string out, part;
  std::istringstream parts(name);
  while (std::getline(parts, part, '/')) {
    if (part.empty()) continue;
    const bool moves = part == "." || part == "..";
    for (char& c : part)
      if (moves || (std::isalnum(static_cast<uint8_t>(c)) == 0 && !std::strchr("_-. ", c))) c = '_';
    out += (out.empty() ? "" : "/") + part;
  }
  return out.empty() ? "_" : out.substr(0, kMaxName);
}

// The metrics of a row; texts such as "NaN" are what both sides write for numbers without JSON.
Json metrics_of(const Row& row, int64_t time) {
  Json metrics = Json::array();
  for (const auto& [name, value] : row.metrics.items())
    metrics.push_back(
        {{"key", name_for(name)}, {"value", value}, {"timestamp", time}, {"step", row.step}});
  return metrics;
}

}  // namespace

MlflowClient::MlflowClient(std::string server, std::string base,
                           std::map<std::string, std::string> headers, double seconds)
    : server_(std::move(server)),
      base_(std::move(base)),
      who_("MLflow at " + server_ + base_),
      seconds_(seconds),
      client_(std::move(headers), net::OnStop::finish) {}

Result<std::unique_ptr<MlflowClient>> MlflowClient::create(const std::string& url, double seconds) {
  LS_ASSIGN_OR_RETURN(const net::Url parsed, net::parse_url(url, "MLflow"));
  std::string base = parsed.path;
  while (base.ends_with('/')) base.pop_back();
  return std::unique_ptr<MlflowClient>(
      new MlflowClient(parsed.server, std::move(base), login(), seconds));
}

Status MlflowClient::checked(const Result<net::HttpReply>& reply, const std::string& route) const {
  if (!reply.ok()) return reply.status();
  if (reply->status / 100 == 2) return ok_status();
  const std::string text =
      fmt::format("{}: {}: status {}: {}", who_, route, reply->status, reply->body.substr(0, 500));
  return reply->status / 100 == 4 ? invalid_argument(text) : unavailable(text);
}

Result<Json> MlflowClient::call(const std::string& route, const Json& body) {
  const auto reply = client_.post({server_, base_ + kApi + route}, dump_json(body),
                                  Deadline::after_seconds(seconds_), who_);
  LS_RETURN_IF_ERROR(checked(reply, route));
  return parse_json(reply->body, who_ + ": " + route);
}

// "" if there is none.
Result<std::string> MlflowClient::find_experiment(const std::string& name) {
  std::string quoted;
  for (const char c : name) quoted += c == '\'' ? "\\'" : std::string(1, c);
  const Json query = {{"filter", "name = '" + quoted + "'"}, {"max_results", 1}};
  LS_ASSIGN_OR_RETURN(const Json found, call("experiments/search", query));
  if (!found.contains("experiments") || found["experiments"].empty()) return std::string();
  return json_get<std::string>(found["experiments"][0], "experiment_id", who_ + ": experiments");
}

Result<MlflowRun> MlflowClient::create_run(const std::string& experiment, const std::string& name) {
  MlflowRun run;
  LS_ASSIGN_OR_RETURN(run.experiment_id, find_experiment(experiment));
  if (run.experiment_id.empty()) {
    const auto created = call("experiments/create", {{"name", experiment}});
    if (created.ok()) {
      LS_ASSIGN_OR_RETURN(run.experiment_id, json_get<std::string>(*created, "experiment_id",
                                                                   who_ + ": experiments/create"));
    } else {  // another process may have created it meanwhile
      LS_ASSIGN_OR_RETURN(run.experiment_id, find_experiment(experiment));
      if (run.experiment_id.empty()) return created.status();
    }
  }
  const Json body = {{"experiment_id", run.experiment_id},
                     {"run_name", name},
                     {"start_time", now_ms()},
                     {"tags",
                      {{{"key", "mlflow.runName"}, {"value", name}},
                       {{"key", "mlflow.source.name"}, {"value", "longshot"}}}}};
  LS_ASSIGN_OR_RETURN(const Json made, call("runs/create", body));
  const std::string where = who_ + ": runs/create";
  if (!made.contains("run") || !made["run"].contains("info")) return corrupt(where + ": no run");
  const Json& info = made["run"]["info"];
  LS_ASSIGN_OR_RETURN(run.run_id, json_get<std::string>(info, "run_id", where));
  const std::string artifacts = info.value("artifact_uri", "");
  if (artifacts.starts_with(kArtifactScheme))
    run.artifact_path = artifacts.substr(std::string(kArtifactScheme).size());
  return run;
}

Status MlflowClient::log_settings(const MlflowRun& run, const FlatSettings& settings) {
  for (size_t begin = 0; begin < settings.size(); begin += kMaxSettings) {
    Json params = Json::array();
    for (size_t i = begin; i < std::min(settings.size(), begin + kMaxSettings); ++i)
      params.push_back(
          {{"key", name_for(settings[i].first)}, {"value", cut(settings[i].second, kMaxText)}});
    LS_RETURN_IF_ERROR(
        call("runs/log-batch", {{"run_id", run.run_id}, {"params", std::move(params)}}).status());
  }
  return ok_status();
}

Status MlflowClient::log_rows(const MlflowRun& run, const std::vector<Row>& rows, size_t& done) {
  done = 0;
  while (done < rows.size()) {
    Json metrics = Json::array();
    size_t end = done;
    for (const int64_t time = now_ms(); end < rows.size(); ++end) {
      Json more = metrics_of(rows[end], time);
      if (end > done && metrics.size() + more.size() > kMaxMetrics) break;
      metrics.insert(metrics.end(), more.begin(), more.end());
    }
    LS_RETURN_IF_ERROR(
        call("runs/log-batch", {{"run_id", run.run_id}, {"metrics", std::move(metrics)}}).status());
    done = end;
  }
  return ok_status();
}

Status MlflowClient::log_table(const MlflowRun& run, int64_t step, const Json& table,
                               const std::vector<int64_t>& steps) {
  if (run.artifact_path.empty()) return ok_status();
  const std::string path = kArtifacts + run.artifact_path + "/" + table_path(step);
  LS_RETURN_IF_ERROR(checked(client_.put({server_, base_ + path}, dump_json(table),
                                         Deadline::after_seconds(seconds_), who_),
                             "artifacts"));
  Json logged = Json::array();
  for (const int64_t one : steps) logged.push_back({{"path", table_path(one)}, {"type", "table"}});
  return call("runs/set-tag", {{"run_id", run.run_id},
                               {"key", "mlflow.loggedArtifacts"},
                               {"value", dump_json(logged)}})
      .status();
}

Status MlflowClient::set_status(const MlflowRun& run, const std::string& status) {
  Json body = {{"run_id", run.run_id}, {"status", status}};
  if (status != "RUNNING") body["end_time"] = now_ms();
  return call("runs/update", body).status();
}

}  // namespace longshot::track
