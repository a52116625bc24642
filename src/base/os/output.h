#pragma once
// Where a command writes a result that the user named.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longshot {

// A named output, opened before the work whose result it receives, so that a place that cannot be
// written is found at once. Movable only. Not thread-safe.
//
// - "-", and no name at all, is stdout. /dev/stdout, /dev/fd/N and what else leads to a descriptor
//   of this process is that descriptor.
// - A device, FIFO or socket is written to and stays what it is. Opening a FIFO waits for its
//   reader, until stop_requested().
// - A regular file, or a name that does not exist yet, is replaced as a whole by finish(): before
//   that, and after any failure, it holds what it held before. It keeps its owner and
//   permissions.
// - A symbolic link is followed and stays; its target is what is written, also one that does not
//   exist yet.
class Output {
 public:
  enum class Kind {
    whole,   // a regular file is replaced by finish()
    stream,  // a regular file grows with every write, from nothing, for readers that follow it
  };

  // invalid_argument that names the path if it cannot be written: a directory, no such folder, no
  // permission.
  static Result<Output> open(const std::filesystem::path& path, Kind kind = Kind::whole);
  Output(Output&& other) noexcept;
  Output& operator=(Output&& other) noexcept;
  ~Output();  // without finish() what was written to a regular file is dropped

  // io_error if not all bytes could be written.
  Status write(std::string_view bytes);
  // Makes the result permanent: synced, and renamed into its place. Nothing may be written later.
  Status finish();

  const std::string& name() const { return name_; }  // as given, "stdout" for "-"
  int descriptor() const { return fd_; }
  // True if what is printed to stdout would come between the bytes of the result.
  bool is_stdout() const;

 private:
  Output() = default;
  Status open_target(Kind kind);
  Status open_temporary(unsigned mode);
  void close();

  std::string name_;
  std::filesystem::path target_, temporary_;  // temporary_ is empty: fd_ is the target itself
  int fd_ = -1;
  bool truncate_ = false;  // a regular file whose old content is dropped at the first write
  bool sync_ = false;
};

// Opens, writes and finishes.
Status write_output(const std::filesystem::path& path, std::string_view content);

}  // namespace longshot
