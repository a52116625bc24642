#include "model/merge/merge_folder.h"

#include <fmt/format.h>

#include "base/os/fs.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

constexpr const char* kState = "merge.json";
constexpr const char* kLock = "lock";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

fs::path with_ending(const fs::path& output, const char* ending) {
  return output.string() + ending;
}

// The first setting that differs, as "KEY was X and is Y".
std::string difference(const Json& before, const Json& now) {
  for (const auto& [key, value] : now.items()) {
    const Json old = before.contains(key) ? before.at(key) : Json();
    if (old != value)
      return fmt::format("{} was {} and is {}", key, dump_json(old), dump_json(value));
  }
  return "";
}

// False if a file was taken away later.
bool is_whole(const fs::path& output, const Json& state) {
  if (!is_there(output / "config.json") || !state.contains("files")) return false;
  for (const auto& [file, sum] : state.at("files").items())
    if (!is_there(output / file)) return false;
  return true;
}

}  // namespace

MergeFolder::MergeFolder(fs::path output, FolderLock lock)
    : output_(std::move(output)), path_(with_ending(output_, ".partial")), lock_(std::move(lock)) {}

Status MergeFolder::check_output(const fs::path& output, bool overwrite) {
  std::error_code error;
  if (!is_there(output)) return ok_status();
  if (!overwrite) {
    return invalid_argument(output.string() +
                            " exists already; choose another --output or add --overwrite");
  }
  const bool empty = fs::is_directory(output, error) && fs::is_empty(output, error);
  if (empty || is_there(output / "config.json")) return ok_status();
  return invalid_argument(output.string() +
                          " is not a model directory (it has no config.json) and is left alone; "
                          "choose another --output");
}

Result<MergeFolder> MergeFolder::open(const fs::path& output, const Json& settings) {
  const fs::path path = with_ending(output, ".partial");
  std::error_code error;
  const bool foreign = is_there(path) && !is_there(path / kState) &&
                       !(fs::is_empty(path, error) || is_there(path / kLock));
  if (foreign) {
    return invalid_argument(path.string() +
                            " is not the folder of an interrupted merge; move it away or choose "
                            "another --output");
  }
  LS_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::take(path));
  MergeFolder folder(output, std::move(lock));
  LS_RETURN_IF_ERROR(folder.read(settings));
  return folder;
}

Status MergeFolder::read(const Json& settings) {
  if (!is_there(path_ / kState)) {
    state_ = {{"settings", settings}, {"files", Json::object()}};
    return write_state();
  }
  const std::string where = (path_ / kState).string();
  LS_ASSIGN_OR_RETURN(state_, read_json_file(where));
  LS_ASSIGN_OR_RETURN(const Json before, json_get<Json>(state_, "settings", where));
  LS_RETURN_IF_ERROR(json_get<Json>(state_, "files", where).status());
  const std::string differs = difference(before, settings);
  if (differs.empty()) return ok_status();
  return invalid_argument(
      fmt::format("{} holds an interrupted merge with other settings: {}; remove it or choose "
                  "another --output",
                  path_.string(), differs));
}

Status MergeFolder::write_state() const {
  return write_file_atomic(path_ / kState, dump_json(state_, 2) + "\n");
}

Result<bool> MergeFolder::has(const std::string& file) const {
  const Json& files = state_.at("files");
  if (!files.contains(file) || !is_there(path_ / file)) return false;
  LS_ASSIGN_OR_RETURN(const uint64_t sum, file_checksum(path_ / file));
  return files.at(file) == fmt::format("{:016x}", sum);
}

Status MergeFolder::add(const std::string& file) {
  LS_ASSIGN_OR_RETURN(const uint64_t sum, file_checksum(path_ / file));
  state_["files"][file] = fmt::format("{:016x}", sum);
  return write_state();
}

// An existing output is first moved aside and deleted last. The state stays in the output, so that
// is_finished() recognizes a crash at any point.
Status MergeFolder::become_output(bool overwrite) {
  LS_RETURN_IF_ERROR(check_output(output_, overwrite));
  if (is_there(output_)) {
    LS_RETURN_IF_ERROR(remove_tree(with_ending(output_, ".old")));
    LS_RETURN_IF_ERROR(rename_durable(output_, with_ending(output_, ".old")));
  }
  LS_RETURN_IF_ERROR(rename_durable(path_, output_));
  return clean(output_);
}

Status MergeFolder::clean(const fs::path& output) {
  LS_RETURN_IF_ERROR(remove_tree(with_ending(output, ".old")));
  LS_RETURN_IF_ERROR(remove_tree(output / kLock));
  return remove_tree(output / (std::string(kState) + ".tmp"));
}

Result<bool> MergeFolder::is_finished(const fs::path& output, const Json& settings) {
  if (!is_there(output / kState)) return false;
  LS_ASSIGN_OR_RETURN(const Json state, read_json_file((output / kState).string()));
  if (!state.contains("settings") || state.at("settings") != settings) return false;
  if (!is_whole(output, state)) return false;
  LS_RETURN_IF_ERROR(clean(output));
  return true;
}

}  // namespace longshot::model
