#pragma once
// Checkpoints of a run: <run>/global_step_N/ with every file listed and checksummed in
// manifest.json. A checkpoint is prepared under a temporary name, synced and renamed, so a folder
// with that name is complete or it was damaged later, which the checksums show. What goes inside is
// the caller's business; it is all that is needed to continue. Not thread-safe.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::loop {

// Size and checksum of every file below `folder`: {relative path: {"bytes", "xxh3"}}.
Result<Json> list_with_checksums(const std::string& folder);
// `corrupt`, naming the file, if one of `files` (as above) is missing or another one.
Status check_files(const std::string& folder, const Json& files);

struct Checkpoint {
  std::string directory;
  int64_t iteration = 0;
  Json state;  // state.json: what the caller saved; "iteration" and the text "config" are there
};

class CheckpointStore {
 public:
  // keep: how many of the newest checkpoints survive a save. The one just written always does.
  CheckpointStore(std::string run_directory, int keep);

  // `write_files` puts its files into the folder it is given. On any error nothing is left behind
  // and the older checkpoints are untouched.
  Status save(int64_t iteration, const Json& state,
              const std::function<Status(const std::string& directory)>& write_files);

  // All folders global_step_N, newest first, checked or not.
  std::vector<int64_t> iterations() const;
  // The checkpoint if every file is there with its recorded size and checksum and the folder has
  // the name of its iteration, else what is wrong with it. Reads only.
  Result<Checkpoint> open(const std::string& directory) const;
  const std::string& run_directory() const { return run_directory_; }
  std::string directory_of(int64_t iteration) const;

  // latest_checkpointed_iteration.txt: the newest checkpoint of the run's present course. None
  // without the file, and with a warning if it holds no number.
  std::optional<int64_t> latest() const;
  Status set_latest(int64_t iteration);
  Status forget_latest();  // no checkpoint is left

  // A name that no folder has yet, for what is moved out of the way: <run>/abandoned-K.
  std::string name_for_abandoned() const;

 private:
  void prune(int64_t just_written);
  Status publish(const std::string& temporary, int64_t iteration);

  std::string run_directory_;
  int keep_;
};

// A run whose checkpoint cannot be written tries again after each of the next two iterations. The
// third failure in a row ends it: what it does could never be saved.
class SaveRetry {
 public:
  bool due() const { return failures_ > 0; }
  // ok if the checkpoint was saved or may be tried again; then the reason is logged.
  Status after(const Status& saved);

 private:
  int failures_ = 0;
};

}  // namespace longshot::loop
