#pragma once
// One process at a time writes a folder. The lock is the kernel's, on the empty file FOLDER/lock, and goes with the
// process, however that ends; the file stays, unless undo() removes it.

#include <filesystem>
#include <utility>

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

  // For an owner that has written nothing: removes again what take() has made, file and folder.
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
