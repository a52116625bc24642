#pragma once
// A run on an MLflow tracking server, over its REST API 2.0 (mlflow.org/docs/latest/rest-api.html).

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/os/clock.h"
#include "base/status.h"
#include "net/http_client.h"
#include "track/run_follower.h"

namespace longshot::track {

struct MlflowRun {
  std::string experiment_id, run_id;
  std::string artifact_path;  // of the server's own store of artifacts; empty: it has none
};

// Thread-safe. Every call takes at most `seconds` and reports errors of HttpClient, or the server's
// refusal: invalid_argument for a status below 500, unavailable otherwise.
class MlflowClient {
 public:
  // `url`: http://host:port, or https://. The environment's MLFLOW_TRACKING_TOKEN, or
  // MLFLOW_TRACKING_USERNAME and _PASSWORD, are sent as MLflow's own client sends them.
  static Result<std::unique_ptr<MlflowClient>> create(const std::string& url, double seconds = 20);

  // Finds or creates the experiment, and creates a run in it.
  Result<MlflowRun> create_run(const std::string& experiment, const std::string& name);
  // Texts are cut to 500 bytes, the shortest limit of released servers.
  Status log_settings(const MlflowRun& run, const FlatSettings& settings);
  // Each metric gets the present time. Any number of rows; they are sent in batches of the server's
  // limit, and `done` rows have been sent when an error is returned.
  Status log_rows(const MlflowRun& run, const std::vector<Row>& rows, size_t& done);
  // A table for the server's page of artifacts, at samples/held_out_STEP.json; `steps` are those of
  // all tables of the run, this one included. Does nothing if the server stores no artifacts.
  Status log_table(const MlflowRun& run, int64_t step, const Json& table,
                   const std::vector<int64_t>& steps);
  // `status`: RUNNING, FINISHED, FAILED or KILLED.
  Status set_status(const MlflowRun& run, const std::string& status);

 private:
  MlflowClient(std::string server, std::string base, std::map<std::string, std::string> headers,
               double seconds);
  Result<Json> call(const std::string& route, const Json& body);
  Result<std::string> find_experiment(const std::string& name);
  Status checked(const Result<net::HttpReply>& reply, const std::string& route) const;

  const std::string server_, base_, who_;
  const double seconds_;
  net::HttpClient client_;
};

}  // namespace longshot::track
