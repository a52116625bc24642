#include "base/run_log/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace longshot {
namespace {

Status errno_status(const char* action, const std::filesystem::path& path) {
  const int error = errno;
  return io_error(std::string(action) + " " + path.string() + ": " + std::strerror(error));
}

}  // namespace

Result<AppendFile> AppendFile::open(const std::filesystem::path& path) {
  AppendFile file;
  file.path_ = path;
  file.fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file.fd_ < 0) return errno_status("cannot open", path);
  return file;
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

AppendFile::~AppendFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status AppendFile::append(std::string_view bytes) {
  struct stat before {};
  if (::fstat(fd_, &before) != 0) return errno_status("cannot stat", path_);
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Status failed = errno_status("cannot write", path_);
      // A partial line would damage the next one. Only a regular file can be truncated, and only
      // there is it necessary.
      [[maybe_unused]] const int cut = ::ftruncate(fd_, before.st_size);
      return failed;
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return ok_status();
}

Status AppendFile::sync() {
  if (::fsync(fd_) != 0) return errno_status("cannot sync", path_);
  return ok_status();
}

}  // namespace longshot
