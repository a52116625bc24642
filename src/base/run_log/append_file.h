#pragma once
// An append-only file. append() passes all bytes to write(2) without a buffer of its own, so
// appended data survives the death of the process. An append that fails leaves the file unchanged.

#include <filesystem>
#include <string_view>

#include "base/status.h"

namespace longshot {

// Movable only. Not thread-safe.
class AppendFile {
 public:
  static Result<AppendFile> open(const std::filesystem::path& path);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  Status append(std::string_view bytes);
  Status sync();  // fsync: the data also survives a crash of the machine

 private:
  AppendFile() = default;
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace longshot
