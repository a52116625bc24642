#pragma once
// Copies what a run logs to an MLflow server: its settings, each row of metrics, and the held-out
// samples as tables. What was sent is noted in RUN/tracking.json, so that a later call continues
// the same run on the server and sends nothing twice.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "track/mlflow.h"
#include "track/run_follower.h"

namespace longshot::track {

struct TrackOptions {
  std::string url;
  std::string experiment = "longshot";
  std::string name;  // of the run; empty: the last part of the folder's path
};

// Not thread-safe.
class Tracker {
 public:
  // Creates the run on the server, or continues the one of an earlier call for the same url.
  // Errors: the folder is not a run folder; those of MlflowClient.
  static Result<std::unique_ptr<Tracker>> open(const std::filesystem::path& folder,
                                               const TrackOptions& options);

  // Sends what is new; returns the number of rows. After an error, which a later call may not meet,
  // the rest is sent by that call.
  Result<size_t> send_new();
  // FINISHED, FAILED, KILLED or RUNNING.
  Status set_status(const std::string& status) { return client_->set_status(run_, status); }
  const std::string& run_id() const { return run_.run_id; }
  int64_t last_step() const { return last_; }

 private:
  Tracker(std::filesystem::path folder, std::string url, std::unique_ptr<MlflowClient> client);
  Status create_run(const TrackOptions& options);
  Status note() const;

  const std::filesystem::path folder_;
  const std::string url_;
  const std::unique_ptr<MlflowClient> client_;
  MlflowRun run_;
  int64_t last_ = -1;            // the last step that was sent
  std::vector<int64_t> tables_;  // evaluations that were sent
  std::vector<Row> waiting_;     // read and not sent
  std::vector<int64_t> unsent_;  // evaluations that were read and not sent
  std::unique_ptr<RunFollower> follower_;
};

}  // namespace longshot::track
