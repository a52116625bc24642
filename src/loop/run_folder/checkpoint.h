#pragma once
// Checkpoints of a run: <run>/global_step_N/ with every file listed and checksummed in
// manifest.json. A checkpoint is written under a temporary name, synced and renamed. A folder
// global_step_N is therefore complete unless it was damaged later, which the checksums reveal. The
// caller chooses the content, which must be everything needed to continue. Not thread-safe.

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::loop {

// Size and checksum of every file below `folder`: {relative path: {"bytes", "xxh3"}}.
Result<Json> list_with_checksums(const std::string& folder);
// `corrupt`, naming the file, if one of `files` (in the same form) is missing or has another
// content.
Status check_files(const std::string& folder, const Json& files);

struct Checkpoint {
  std::string directory;
  int64_t iteration = 0;
  Json state;  // state.json: what the caller saved; "iteration" and the text "config" are there
};

class CheckpointStore {
 public:
  // keep: the number of newest checkpoints that survive a save, at least 1. The one just written
  // always survives.
  CheckpointStore(std::string run_directory, int keep);

  // `write_files` writes its files into the folder it is given. On any error no part of the new
  // checkpoint is left behind and the older checkpoints are untouched; latest() may already name
  // the new one if the final rename failed.
  Status save(int64_t iteration, const Json& state,
              const std::function<Status(const std::string& directory)>& write_files);

  // Checkpoints that survive in addition to the newest ones.
  void exempt(std::set<int64_t> iterations) { exempt_ = std::move(iterations); }

  // Returns N of all folders global_step_N, newest first, without checking their content.
  std::vector<int64_t> iterations() const;
  // Returns the checkpoint if every file has its recorded size and checksum, no model file was
  // added, and a folder global_step_N holds iteration N; else an error that says what is wrong.
  // Writes nothing.
  Result<Checkpoint> open(const std::string& directory) const;
  const std::string& run_directory() const { return run_directory_; }
  std::string directory_of(int64_t iteration) const;

  // The newest checkpoint of the run's current course, from latest_checkpointed_iteration.txt.
  // nullopt without the file; nullopt with a warning if it is unreadable or does not contain a
  // number.
  std::optional<int64_t> latest() const;
  Status set_latest(int64_t iteration);
  Status forget_latest();  // for a run whose checkpoints are removed

  // Returns an unused folder name <run>/abandoned-K for checkpoints that are moved away.
  std::string name_for_abandoned() const;

 private:
  void prune(int64_t just_written);
  Status publish(const std::string& temporary, int64_t iteration);

  std::string run_directory_;
  int keep_;
  std::set<int64_t> exempt_;
};

// If a checkpoint cannot be written, the run tries again after each of the next two iterations. The
// third failure in a row ends the run, because its work could never be saved.
class SaveRetry {
 public:
  bool due() const { return failures_ > 0; }
  // ok if the checkpoint was saved, or if a retry is left; the failure is then logged.
  Status after(const Status& saved);

 private:
  int failures_ = 0;
};

}  // namespace longshot::loop
