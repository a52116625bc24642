#pragma once
// One process at a time writes a folder. The lock is the kernel's, on the empty file FOLDER/lock, and goes with the
// process, however that ends; the file stays.

#include <filesystem>

#include "base/status.h"

namespace longshot {

// Movable only. Released by the destructor. Excludes other processes, not other locks of this one (fcntl(2), record
// locks: they say who holds them).
class FolderLock {
 public:
  // Makes the folder if it is not there. Does not wait: invalid_argument, naming the holder, if another process has it.
  static Result<FolderLock> take(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace longshot
