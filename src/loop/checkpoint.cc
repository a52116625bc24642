#include "loop/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/fs.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;
const char kManifest[] = "manifest.json";
const char kState[] = "state.json";
const char kPrefix[] = "global_step_";

Result<Json> make_manifest(const fs::path& directory) {
  Json files = Json::object();
  LS_ASSIGN_OR_RETURN(const auto names, list_files(directory));
  for (const std::string& name : names) {
    LS_ASSIGN_OR_RETURN(const uint64_t sum, file_checksum(directory / name));
    files[name] = {{"bytes", fs::file_size(directory / name)},
                   {"xxh3", fmt::format("{:016x}", sum)}};
  }
  return Json{{"format", kFormat}, {"files", files}};
}

Status check_file(const fs::path& path, const Json& entry) {
  const std::string where = path.string();
  LS_ASSIGN_OR_RETURN(const auto bytes, json_get<uint64_t>(entry, "bytes", where));
  LS_ASSIGN_OR_RETURN(const auto expected, json_get<std::string>(entry, "xxh3", where));
  std::error_code error;
  if (fs::file_size(path, error) != bytes || error) {
    return corrupt(where + " is missing or has another size than the manifest says");
  }
  LS_ASSIGN_OR_RETURN(const uint64_t sum, file_checksum(path));
  if (fmt::format("{:016x}", sum) != expected)
    return corrupt(where + " does not match its checksum");
  return ok_status();
}

Status write_content(const fs::path& directory, const Json& state,
                     const std::function<Status(const std::string&)>& write_files) {
  LS_RETURN_IF_ERROR(make_directories(directory));
  LS_RETURN_IF_ERROR(write_files(directory.string()));
  LS_RETURN_IF_ERROR(write_file_durable(directory / kState, dump_json(state)));
  LS_ASSIGN_OR_RETURN(const Json manifest, make_manifest(directory));
  LS_RETURN_IF_ERROR(write_file_durable(directory / kManifest, dump_json(manifest)));
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_directory()) LS_RETURN_IF_ERROR(fsync_path(entry.path()));
  }
  return fsync_path(directory);
}

}  // namespace

CheckpointStore::CheckpointStore(std::string run_directory, int keep)
    : run_directory_(std::move(run_directory)), keep_(std::max(1, keep)) {}

std::string CheckpointStore::directory_of(int64_t iteration) const {
  return (fs::path(run_directory_) / (kPrefix + std::to_string(iteration))).string();
}

Status CheckpointStore::save(int64_t iteration, const Json& state,
                             const std::function<Status(const std::string&)>& write_files) {
  const fs::path temporary = fs::path(run_directory_) / "checkpoint.tmp";
  LS_RETURN_IF_ERROR(make_directories(run_directory_));
  LS_RETURN_IF_ERROR(remove_tree(temporary));
  Status status = write_content(temporary, state, write_files);
  if (status.ok()) status = publish(temporary.string(), iteration);
  if (!status.ok()) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    return status.with_context("checkpoint of iteration " + std::to_string(iteration) +
                               " not saved");
  }
  return prune();
}

// A folder of the same name is one of an earlier, abandoned course of the run: it makes way.
Status CheckpointStore::publish(const std::string& temporary, int64_t iteration) {
  const std::string target = directory_of(iteration);
  const fs::path old = fs::path(run_directory_) / "checkpoint.old";
  LS_RETURN_IF_ERROR(remove_tree(old));
  if (fs::exists(target)) LS_RETURN_IF_ERROR(rename_durable(target, old));
  LS_RETURN_IF_ERROR(rename_durable(temporary, target));
  LS_RETURN_IF_ERROR(remove_tree(old));
  return write_file_atomic(fs::path(run_directory_) / "latest_checkpointed_iteration.txt",
                           std::to_string(iteration) + "\n");
}

Status CheckpointStore::prune() {
  const auto all = iterations();
  for (size_t i = static_cast<size_t>(keep_); i < all.size(); ++i) {
    // Renamed first: a crash in the middle of the removal must not leave half a checkpoint under
    // its name.
    const fs::path doomed = fs::path(run_directory_) / "checkpoint.old";
    LS_RETURN_IF_ERROR(remove_tree(doomed));
    LS_RETURN_IF_ERROR(rename_durable(directory_of(all[i]), doomed));
    LS_RETURN_IF_ERROR(remove_tree(doomed));
  }
  return ok_status();
}

std::vector<int64_t> CheckpointStore::iterations() const {
  std::vector<int64_t> found;
  std::error_code error;
  for (fs::directory_iterator it(run_directory_, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.rfind(kPrefix, 0) != 0) continue;
    const std::string number = name.substr(sizeof kPrefix - 1);
    const bool digits =
        !number.empty() && number.size() <= 18 &&
        std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (digits) found.push_back(std::stoll(number));
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

Result<Checkpoint> CheckpointStore::open(const std::string& directory) const {
  const fs::path path(directory);
  LS_ASSIGN_OR_RETURN(const Json manifest, read_json_file((path / kManifest).string()));
  LS_ASSIGN_OR_RETURN(const auto format, json_get<int>(manifest, "format", directory));
  if (format != kFormat) return corrupt(fmt::format("{}: format {} is unknown", directory, format));
  LS_ASSIGN_OR_RETURN(const Json files, json_get<Json>(manifest, "files", directory));
  for (const auto& [name, entry] : files.items())
    LS_RETURN_IF_ERROR(check_file(path / name, entry));
  Checkpoint checkpoint;
  checkpoint.directory = directory;
  LS_ASSIGN_OR_RETURN(checkpoint.state, read_json_file((path / kState).string()));
  LS_ASSIGN_OR_RETURN(checkpoint.iteration,
                      json_get<int64_t>(checkpoint.state, "iteration", directory));
  return checkpoint;
}

}  // namespace longshot::loop
