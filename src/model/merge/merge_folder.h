#pragma once
// The folder that a merge grows in: OUTPUT.partial with the finished weight files and merge.json,
// which lists them with checksums and the settings. It becomes OUTPUT when it is complete.

#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/os/folder_lock.h"
#include "base/status.h"

namespace longshot::model {

// Movable only. Holds the folder's lock, so that one process writes to it.
class MergeFolder {
 public:
  // `settings`: everything that the bytes of the result depend on. A folder of an interrupted merge
  // with the same settings is continued. Error: the folder is one of another merge, or not one at
  // all.
  static Result<MergeFolder> open(const std::filesystem::path& output, const Json& settings);

  const std::filesystem::path& path() const { return path_; }
  // True if the file is finished and has its recorded size and checksum.
  Result<bool> has(const std::string& file) const;
  Status add(const std::string& file);  // records a file that has been written
  // Replaces `output`, which may exist only if `overwrite`.
  Status become_output(bool overwrite);

  // True if `output` is the result of a merge with the same settings; what a kill at the very end
  // left beside it is then removed.
  static Result<bool> is_finished(const std::filesystem::path& output, const Json& settings);
  // Error: `output` exists and may not be replaced: not `overwrite`, or it is not a model.
  static Status check_output(const std::filesystem::path& output, bool overwrite);

 private:
  MergeFolder(std::filesystem::path output, FolderLock lock);
  static Status clean(const std::filesystem::path& output);
  Status read(const Json& settings);
  Status write_state() const;

  std::filesystem::path output_, path_;
  FolderLock lock_;
  Json state_;
};

}  // namespace longshot::model
