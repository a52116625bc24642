#include "track/tracker.h"

#include <fmt/format.h>

#include "base/os/fs.h"

namespace longshot::track {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNote = "tracking.json";

}  // namespace

Tracker::Tracker(fs::path folder, std::string url, std::unique_ptr<MlflowClient> client)
    : folder_(std::move(folder)), url_(std::move(url)), client_(std::move(client)) {}

Result<std::unique_ptr<Tracker>> Tracker::open(const fs::path& folder,
                                               const TrackOptions& options) {
  std::error_code error;
  if (!fs::exists(folder / "config.toml", error) && !fs::exists(folder / "metrics.jsonl", error))
    return invalid_argument(folder.string() +
                            " is not a run folder: it has neither config.toml nor metrics.jsonl");
  LS_ASSIGN_OR_RETURN(auto client, MlflowClient::create(options.url));
  std::unique_ptr<Tracker> tracker(new Tracker(folder, options.url, std::move(client)));
  const std::string file = (folder / kNote).string();
  if (fs::exists(file, error)) {
    LS_ASSIGN_OR_RETURN(const std::string text, read_file(file));
    LS_ASSIGN_OR_RETURN(const Json note, parse_json(text, file));
    LS_ASSIGN_OR_RETURN(const std::string url, json_get<std::string>(note, "url", file));
    if (url != options.url)
      return invalid_argument(fmt::format(
          "{} says that this run is tracked at {}: use that, or delete the file", file, url));
    LS_ASSIGN_OR_RETURN(tracker->run_.run_id, json_get<std::string>(note, "run_id", file));
    LS_ASSIGN_OR_RETURN(tracker->run_.experiment_id,
                        json_get<std::string>(note, "experiment_id", file));
    LS_ASSIGN_OR_RETURN(tracker->run_.artifact_path,
                        json_get<std::string>(note, "artifact_path", file));
    LS_ASSIGN_OR_RETURN(tracker->last_, json_get<int64_t>(note, "last_step", file));
    LS_ASSIGN_OR_RETURN(tracker->tables_, json_get<std::vector<int64_t>>(note, "tables", file));
    LS_RETURN_IF_ERROR(tracker->set_status("RUNNING"));
  } else {
    LS_RETURN_IF_ERROR(tracker->create_run(options));
  }
  const std::vector<int64_t>& sent = tracker->tables_;
  tracker->follower_ =
      std::make_unique<RunFollower>(folder, tracker->last_, sent.empty() ? -1 : sent.back());
  return tracker;
}

Status Tracker::create_run(const TrackOptions& options) {
  const fs::path absolute = fs::absolute(folder_).lexically_normal();
  const fs::path last = absolute.has_filename() ? absolute : absolute.parent_path();
  LS_ASSIGN_OR_RETURN(const FlatSettings settings, settings_of(folder_));
  LS_ASSIGN_OR_RETURN(
      run_, client_->create_run(options.experiment,
                                options.name.empty() ? last.filename().string() : options.name));
  LS_RETURN_IF_ERROR(client_->log_settings(run_, settings));
  return note();
}

Result<size_t> Tracker::send_new() {
  LS_ASSIGN_OR_RETURN(std::vector<Row> rows, follower_->new_rows());
  waiting_.insert(waiting_.end(), rows.begin(), rows.end());
  LS_ASSIGN_OR_RETURN(const std::vector<int64_t> evaluations, follower_->new_evaluations());
  unsent_.insert(unsent_.end(), evaluations.begin(), evaluations.end());
  size_t sent = 0;
  const Status logged = client_->log_rows(run_, waiting_, sent);
  if (sent > 0) {
    last_ = waiting_[sent - 1].step;
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(sent));
    LS_RETURN_IF_ERROR(note());
  }
  LS_RETURN_IF_ERROR(logged);
  while (!unsent_.empty()) {
    LS_ASSIGN_OR_RETURN(const Json table, follower_->table_of(unsent_.front()));
    std::vector<int64_t> all = tables_;
    all.push_back(unsent_.front());
    LS_RETURN_IF_ERROR(client_->log_table(run_, unsent_.front(), table, all));
    tables_ = std::move(all);
    unsent_.erase(unsent_.begin());
    LS_RETURN_IF_ERROR(note());
  }
  return sent;
}

Status Tracker::note() const {
  const Json note = {{"url", url_},           {"experiment_id", run_.experiment_id},
                     {"run_id", run_.run_id}, {"artifact_path", run_.artifact_path},
                     {"last_step", last_},    {"tables", tables_}};
  return write_file_atomic((folder_ / kNote).string(), dump_json(note) + "\n");
}

}  // namespace longshot::track
