#include "base/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/fs.h"

namespace longshot {
namespace {

// Of the whole file.
int call_lock(int fd, int command, struct flock& lock) {
  lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  int done = 0;
  do {
    done = ::fcntl(fd, command, &lock);
  } while (done != 0 && errno == EINTR);
  return done;
}

// The holder has no number here if it runs in another container or on another machine.
std::string holder_of(int fd) {
  struct flock lock {};
  const bool known = call_lock(fd, F_GETLK, lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0;
  return known ? fmt::format("process {}", lock.l_pid) : "another process";
}

}  // namespace

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder) {
  LS_RETURN_IF_ERROR(make_directories(folder));
  const std::string path = (folder / "lock").string();
  FolderLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  struct flock request {};
  if (lock.fd_ >= 0 && call_lock(lock.fd_, F_SETLK, request) == 0) return lock;
  if (lock.fd_ < 0 || (errno != EACCES && errno != EAGAIN))
    return io_error(fmt::format("cannot lock {}: {}", path, std::strerror(errno)));
  return invalid_argument(
      fmt::format("{} is in use by {}: wait until it ends, stop it, or give another folder",
                  folder.string(), holder_of(lock.fd_)));
}

FolderLock::FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace longshot
