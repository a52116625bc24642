#pragma once
// Files: whole-file reads, atomic writes, checksums. All functions are thread-safe.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longshot {

// The file's bytes. Errors name the path.
Result<std::string> read_file(const std::filesystem::path& path);

// Resolves the symbolic links of the last component, even if the last target does not exist. Stops
// early at a path for which `stop` returns true. Returns an error if the links form a cycle.
Result<std::filesystem::path> follow_links(
    std::filesystem::path path,
    const std::function<bool(const std::filesystem::path&)>& stop = nullptr);

// Writes to PATH.tmp, fsyncs, renames over PATH and fsyncs the directory: after a crash PATH holds
// either the old or the new content, never a part. If PATH is a link, its target is replaced and
// the link remains. Creates no directories. For the files of a run; results that a user named are
// written by base/os/output.h.
Status write_file_atomic(const std::filesystem::path& path, std::string_view content);

// A new file, written front to back; close() makes it durable. No rename: for files inside a
// directory that is renamed as a whole. Movable only. Not thread-safe.
class DurableFile {
 public:
  static Result<DurableFile> create(const std::filesystem::path& path);
  DurableFile(DurableFile&& other) noexcept;
  DurableFile& operator=(DurableFile&& other) noexcept;
  ~DurableFile();  // without close() the content may be lost in a crash

  Status write(std::string_view bytes);
  Status close();

 private:
  explicit DurableFile(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
  int fd_ = -1;
};
// Creates, writes and closes a DurableFile.
Status write_file_durable(const std::filesystem::path& path, std::string_view content);

Status fsync_path(const std::filesystem::path& path);  // file or directory
Status make_directories(const std::filesystem::path& path);
// Returns ok if make_directories() and then writing below `path` would work. Tries it beside the
// folders that are missing and leaves nothing behind. Processes may try the same path at once.
Status try_directory(const std::filesystem::path& path);
// Renames FROM to TO within one file system and fsyncs the parent of TO.
Status rename_durable(const std::filesystem::path& from, const std::filesystem::path& to);
Status remove_tree(const std::filesystem::path& path);

// Regular files below `directory`, relative paths, sorted.
Result<std::vector<std::string>> list_files(const std::filesystem::path& directory);

uint64_t checksum(std::string_view bytes);  // XXH3-64
// Reads the file in blocks: a mapping would count as this process's memory.
Result<uint64_t> file_checksum(const std::filesystem::path& path);

// An open file that is read at any place. Unlike the pages of a mapping, what is read does not
// count as this process's memory. Movable only; read() is thread-safe.
class RandomAccessFile {
 public:
  static Result<RandomAccessFile> open(const std::filesystem::path& path);
  RandomAccessFile(RandomAccessFile&& other) noexcept;
  RandomAccessFile& operator=(RandomAccessFile&& other) noexcept;
  ~RandomAccessFile();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }  // when it was opened
  // Fills `out`, which must be within the size. Error: the file has become shorter.
  Status read(uint64_t offset, std::span<char> out) const;

 private:
  explicit RandomAccessFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

// A read-only memory map of a whole file; bytes() stays valid while the object lives. Movable only.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }

 private:
  MappedFile() = default;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace longshot
