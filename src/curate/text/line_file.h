#pragma once
// A text file whose lines are read by their number. Memory: 8 bytes a line.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longshot::curate {

// Consecutive lines in memory.
class Lines {
 public:
  size_t first() const { return first_; }
  size_t size() const { return begins_.size() - 1; }
  // Line first() + i, without its line feed.
  std::string_view operator[](size_t i) const {
    return std::string_view(bytes_).substr(begins_[i], begins_[i + 1] - begins_[i] - 1);
  }

 private:
  friend class LineFile;
  size_t first_ = 0;
  std::string bytes_;
  std::vector<size_t> begins_ = {0};
};

// Movable only. Reading is thread-safe.
class LineFile {
 public:
  // Reads the file once for the places of its lines. Every line ends with a line feed. Errors name
  // the path.
  static Result<LineFile> open(const std::filesystem::path& path);
  LineFile(LineFile&& other) noexcept;
  LineFile& operator=(LineFile&& other) noexcept;
  ~LineFile();

  size_t lines() const { return begins_.size() - 1; }
  uint64_t bytes() const { return begins_.back(); }

  // The line without its line feed; `line` < lines().
  Status read(size_t line, std::string& text) const;
  // Lines [first, first + count) or up to the end.
  Status read_range(size_t first, size_t count, Lines& lines) const;

 private:
  LineFile() = default;
  Status index();
  Status read_bytes(uint64_t begin, size_t size, char* to) const;

  std::filesystem::path path_;
  int fd_ = -1;
  std::vector<uint64_t> begins_ = {0};
};

}  // namespace longshot::curate
