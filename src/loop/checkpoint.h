#pragma once
// Checkpoints of a run: <run>/global_step_N/ with every file listed and checksummed in
// manifest.json. A checkpoint is prepared under a temporary name, synced and renamed, so a folder
// with that name is complete or it was damaged later, which the checksums show. What goes inside is
// the caller's business. Not thread-safe.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::loop {

struct Checkpoint {
  std::string directory;
  int64_t iteration = 0;
  Json state;  // state.json
};

class CheckpointStore {
 public:
  // keep: how many of the newest checkpoints survive a save.
  CheckpointStore(std::string run_directory, int keep);

  // `write_files` puts its files into the folder it is given. On any error nothing is left behind
  // and the older checkpoints are untouched.
  Status save(int64_t iteration, const Json& state,
              const std::function<Status(const std::string& directory)>& write_files);

  // All folders global_step_N, newest first, checked or not.
  std::vector<int64_t> iterations() const;
  // The checkpoint if every file is there with its recorded size and checksum, else what is wrong
  // with it.
  Result<Checkpoint> open(const std::string& directory) const;
  std::string directory_of(int64_t iteration) const;

 private:
  Status prune();
  Status publish(const std::string& temporary, int64_t iteration);

  std::string run_directory_;
  int keep_;
};

}  // namespace longshot::loop
