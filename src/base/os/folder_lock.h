#pragma once
// Lets one process at a time write to a folder. The lock is a kernel lock on the empty file
// FOLDER/lock and ends with the process, even after a crash. The file remains unless undo() removes
// it.

#include <filesystem>
#include <utility>

#include "base/status.h"

namespace longshot {

// Movable only. The destructor releases the lock. Excludes other processes, but not other locks of
// this process: it uses fcntl(2) record locks, which report their holder.
class FolderLock {
 public:
  // Creates the folder if it does not exist. Does not wait: returns invalid_argument that names the
  // holder if another process has the lock.
  static Result<FolderLock> take(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

  // For an owner that has written nothing: removes the file and the folder that take() created.
  void undo();

 private:
  explicit FolderLock(std::filesystem::path folder) : folder_(std::move(folder)) {}
  static Result<FolderLock> try_once(const std::filesystem::path& folder);
  bool is_current() const;

  std::filesystem::path folder_;
  int fd_ = -1;
  bool made_file_ = false, made_folder_ = false;
};

}  // namespace longshot
