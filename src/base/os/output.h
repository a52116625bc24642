#pragma once
// The destination of a command's result, as named by the user.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longshot {

// A named output. It is opened before the result is computed, so a destination that cannot be
// written is reported at once. Movable only. Not thread-safe.
//
// - "-" and an empty name mean stdout. /dev/stdout, /dev/fd/N and any other path that leads to a
//   descriptor of this process mean that descriptor.
// - A device, FIFO or socket is written to and remains what it is. Opening a FIFO waits for its
//   reader, until stop_requested().
// - A regular file, or a name that does not exist yet, is replaced as a whole by finish(). Until
//   then, and after any failure, it keeps its old content. It keeps its owner and permissions.
//   Exception: an existing file whose folder is not writable, or whose owner and mode a new file
//   cannot get, is overwritten in place from the first write.
// - A symbolic link is followed and remains; its target is written, even if it does not exist yet.
class Output {
 public:
  enum class Kind {
    whole,   // a regular file is replaced by finish()
    stream,  // a regular file is emptied and grows with every write, for readers that follow it
  };

  // invalid_argument that names the path if it cannot be written: it is a directory, its folder
  // does not exist, or permission is missing.
  static Result<Output> open(const std::filesystem::path& path, Kind kind = Kind::whole);
  Output(Output&& other) noexcept;
  Output& operator=(Output&& other) noexcept;
  ~Output();  // without finish(), a regular file that is to be replaced keeps its old content

  // io_error if not all bytes could be written.
  Status write(std::string_view bytes);
  // Makes the result permanent: syncs it and renames it to its final name. Must be the last call.
  Status finish();

  const std::string& name() const { return name_; }  // as given, "stdout" for "-"
  int descriptor() const { return fd_; }
  // True if other output on stdout would mix with the bytes of the result.
  bool is_stdout() const;

 private:
  Output() = default;
  Status open_target(Kind kind);
  Status open_temporary(unsigned mode);
  void close();

  std::string name_;
  // An empty temporary_ means that fd_ is the target itself.
  std::filesystem::path target_, temporary_;
  int fd_ = -1;
  bool truncate_ = false;  // a regular file whose old content is removed at the first write
  bool sync_ = false;
};

// Opens, writes and finishes.
Status write_output(const std::filesystem::path& path, std::string_view content);

}  // namespace longshot
