#include "loop/run_folder/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "base/os/fs.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 2;
const char kManifest[] = "manifest.json";
const char kState[] = "state.json";
const char kPrefix[] = "global_step_";
const char kLatest[] = "latest_checkpointed_iteration.txt";
constexpr int kTries = 3;

// Parses a text that consists only of decimal digits.
std::optional<int64_t> parse_iteration(std::string_view text) {
  const bool digits =
      !text.empty() && text.size() <= 18 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return std::nullopt;
  return std::stoll(std::string(text));
}

// N of global_step_N.
std::optional<int64_t> iteration_of(const fs::path& directory) {
  const std::string name = directory.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  return parse_iteration(std::string_view(name).substr(sizeof kPrefix - 1));
}

// Detects an entry of the manifest that was changed or removed.
std::string files_checksum(const Json& files) {
  return fmt::format("{:016x}", checksum(dump_json(files)));
}

}  // namespace

Result<Json> list_with_checksums(const std::string& folder) {
  const fs::path directory = folder;
  Json files = Json::object();
  LS_ASSIGN_OR_RETURN(const auto names, list_files(directory));
  for (const std::string& name : names) {
    std::error_code error;
    const auto bytes = fs::file_size(directory / name, error);
    if (error) return io_error((directory / name).string() + ": " + error.message());
    LS_ASSIGN_OR_RETURN(const uint64_t sum, file_checksum(directory / name));
    files[name] = {{"bytes", bytes}, {"xxh3", fmt::format("{:016x}", sum)}};
  }
  return files;
}

namespace {

Status check_file(const fs::path& path, const Json& entry) {
  const std::string where = path.string();
  LS_ASSIGN_OR_RETURN(const auto bytes, json_get<uint64_t>(entry, "bytes", where));
  LS_ASSIGN_OR_RETURN(const auto expected, json_get<std::string>(entry, "xxh3", where));
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) return corrupt(where + " is missing");
  if (size != bytes) {
    return corrupt(fmt::format("{} has {} bytes, {} when it was written", where, size, bytes));
  }
  LS_ASSIGN_OR_RETURN(const uint64_t sum, file_checksum(path));
  if (fmt::format("{:016x}", sum) != expected)
    return corrupt(where + " does not match its checksum");
  return ok_status();
}

}  // namespace

Status check_files(const std::string& folder, const Json& files) {
  for (const auto& [name, entry] : files.items())
    LS_RETURN_IF_ERROR(check_file(fs::path(folder) / name, entry));
  return ok_status();
}

namespace {

// A model is read together with optional files next to it, such as generation_config.json. One that
// was added later would change what the checkpoint computes.
Status check_nothing_added(const fs::path& directory, const Json& files) {
  for (const char* model : {"huggingface", "adapter"}) {
    std::error_code error;
    if (!fs::is_directory(directory / model, error)) continue;
    LS_ASSIGN_OR_RETURN(const auto names, list_files(directory / model));
    for (const std::string& name : names) {
      const std::string extension = fs::path(name).extension().string();
      const bool is_read =
          extension == ".json" || extension == ".jinja" || extension == ".safetensors";
      if (is_read && !files.contains(std::string(model) + "/" + name))
        return corrupt((directory / model / name).string() + " was added later: remove it");
    }
  }
  return ok_status();
}

Status write_content(const fs::path& directory, const Json& state,
                     const std::function<Status(const std::string&)>& write_files) {
  LS_RETURN_IF_ERROR(make_directories(directory));
  LS_RETURN_IF_ERROR(write_files(directory.string()));
  LS_RETURN_IF_ERROR(write_file_durable(directory / kState, dump_json(state)));
  LS_ASSIGN_OR_RETURN(const Json files, list_with_checksums(directory.string()));
  const Json manifest = {{"format", kFormat}, {"files", files}, {"xxh3", files_checksum(files)}};
  LS_RETURN_IF_ERROR(write_file_durable(directory / kManifest, dump_json(manifest)));
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_directory(error)) LS_RETURN_IF_ERROR(fsync_path(it->path()));
  }
  if (error)
    return io_error(fmt::format("cannot list {}: {}", directory.string(), error.message()));
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
  prune(iteration);
  return ok_status();
}

// set_latest() comes first. After a crash between the two, the named checkpoint is missing and the
// run continues from the one before. In the other order the new checkpoint would be treated as
// abandoned.
Status CheckpointStore::publish(const std::string& temporary, int64_t iteration) {
  const std::string target = directory_of(iteration);
  std::error_code error;
  if (fs::exists(target, error)) return io_error(target + " is there already");
  LS_RETURN_IF_ERROR(set_latest(iteration));
  return rename_durable(temporary, target);
}

// A failure only costs disk space.
void CheckpointStore::prune(int64_t just_written) {
  auto all = iterations();
  std::erase(all, just_written);
  for (size_t i = static_cast<size_t>(keep_) - 1; i < all.size(); ++i) {
    if (exempt_.contains(all[i])) continue;
    // Renamed first, because a crash in the middle of the removal must not leave half a checkpoint
    // under its name.
    const fs::path doomed = fs::path(run_directory_) / "checkpoint.old";
    Status done = remove_tree(doomed);
    if (done.ok()) done = rename_durable(directory_of(all[i]), doomed);
    if (done.ok()) done = remove_tree(doomed);
    if (!done.ok()) log::warn("an old checkpoint stays: {}", done.message());
  }
}

std::optional<int64_t> CheckpointStore::latest() const {
  const fs::path path = fs::path(run_directory_) / kLatest;
  const auto text = read_file(path);
  if (!text.ok()) {
    if (text.status().code() != StatusCode::not_found)
      log::warn("{}; it is not used", text.status().message());
    return std::nullopt;
  }
  const size_t end = text->find_last_not_of(" \t\r\n");
  const auto iteration = parse_iteration(std::string_view(*text).substr(0, end + 1));
  if (!iteration) log::warn("{} holds no number; it is not used", path.string());
  return iteration;
}

Status CheckpointStore::set_latest(int64_t iteration) {
  return write_file_atomic(fs::path(run_directory_) / kLatest, std::to_string(iteration) + "\n");
}

Status CheckpointStore::forget_latest() {
  return remove_tree(fs::path(run_directory_) / kLatest);
}

std::string CheckpointStore::name_for_abandoned() const {
  std::error_code error;
  for (int k = 1;; ++k) {
    const fs::path path = fs::path(run_directory_) / fmt::format("abandoned-{}", k);
    if (!fs::exists(fs::symlink_status(path, error))) return path.string();
  }
}

std::vector<int64_t> CheckpointStore::iterations() const {
  std::vector<int64_t> found;
  std::error_code error;
  for (fs::directory_iterator it(run_directory_, error), end; !error && it != end;
       it.increment(error)) {
    if (const auto iteration = iteration_of(it->path())) found.push_back(*iteration);
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

Result<Checkpoint> CheckpointStore::open(const std::string& directory) const {
  fs::path path = fs::path(directory).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  LS_ASSIGN_OR_RETURN(const Json manifest, read_json_file((path / kManifest).string()));
  LS_ASSIGN_OR_RETURN(const auto format, json_get<int>(manifest, "format", directory));
  if (format != kFormat) {
    return corrupt(fmt::format("{} has format {}; this version of longshot reads format {}",
                               directory, format, kFormat));
  }
  LS_ASSIGN_OR_RETURN(const Json files, json_get<Json>(manifest, "files", directory));
  if (!files.is_object() || !files.contains(kState))
    return corrupt((path / kManifest).string() + " does not list the files of a checkpoint");
  LS_ASSIGN_OR_RETURN(const auto sum, json_get<std::string>(manifest, "xxh3", directory));
  if (sum != files_checksum(files))
    return corrupt((path / kManifest).string() + " was changed: it does not match its checksum");
  LS_RETURN_IF_ERROR(check_files(path.string(), files));
  LS_RETURN_IF_ERROR(check_nothing_added(path, files));
  Checkpoint checkpoint;
  checkpoint.directory = path.string();
  LS_ASSIGN_OR_RETURN(checkpoint.state, read_json_file((path / kState).string()));
  LS_ASSIGN_OR_RETURN(checkpoint.iteration,
                      json_get<int64_t>(checkpoint.state, "iteration", directory));
  LS_RETURN_IF_ERROR(json_get<std::string>(checkpoint.state, "config", directory).status());
  const auto named = iteration_of(path);
  if (!named || *named == checkpoint.iteration) return checkpoint;
  return corrupt(
      fmt::format("{} holds iteration {}: it was renamed", directory, checkpoint.iteration));
}

Status SaveRetry::after(const Status& saved) {
  if (saved.ok()) {
    failures_ = 0;
    return saved;
  }
  if (++failures_ == kTries)
    return saved.with_context(
        fmt::format("no checkpoint could be saved {} times in a row", kTries));
  log::error("{}; the next try is after the next iteration", saved.message());
  return ok_status();
}

}  // namespace longshot::loop
