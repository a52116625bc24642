#pragma once
// A file that only grows. Each append is one write(2), so what was appended survives the death of
// the process. An append that fails leaves the file as it was.

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
  Status sync();  // fsync: survives the death of the machine too

 private:
  AppendFile() = default;
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace longshot
