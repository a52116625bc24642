#include "base/os/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/os/fs.h"

namespace longshot {
namespace {

// Calls fcntl with a write lock on the whole file.
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

// The holder's pid is unknown if it runs in another container or on another machine.
std::string holder_of(int fd) {
  struct flock lock {};
  const bool known = call_lock(fd, F_GETLK, lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0;
  return known ? fmt::format("process {}", lock.l_pid) : "another process";
}

}  // namespace

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder) {
  while (true) {
    LS_ASSIGN_OR_RETURN(FolderLock lock, try_once(folder));
    if (lock.is_current()) return lock;
  }
}

Result<FolderLock> FolderLock::try_once(const std::filesystem::path& folder) {
  FolderLock lock(folder);
  std::error_code error;
  lock.made_folder_ = !std::filesystem::exists(folder, error);
  LS_RETURN_IF_ERROR(make_directories(folder));
  const std::string path = (folder / "lock").string();
  lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  lock.made_file_ = lock.fd_ >= 0;
  if (lock.fd_ < 0) lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  struct flock request {};
  if (lock.fd_ >= 0 && call_lock(lock.fd_, F_SETLK, request) == 0) return lock;
  if (lock.fd_ < 0 || (errno != EACCES && errno != EAGAIN))
    return io_error(fmt::format("cannot lock {}: {}", path, std::strerror(errno)));
  return invalid_argument(
      fmt::format("{} is in use by {}: wait until it ends, stop it, or give another folder",
                  folder.string(), holder_of(lock.fd_)));
}

// False if the file was removed after it was opened and before it was locked.
bool FolderLock::is_current() const {
  struct stat held {
  }, named{};
  return ::fstat(fd_, &held) == 0 && ::stat((folder_ / "lock").c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

void FolderLock::undo() {
  if (made_file_) ::unlink((folder_ / "lock").c_str());  // before it is released
  if (made_folder_) ::rmdir(folder_.c_str());            // fails if it is not empty
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

FolderLock::FolderLock(FolderLock&& other) noexcept : FolderLock(other.folder_) {
  *this = std::move(other);
}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(folder_, other.folder_);
  std::swap(fd_, other.fd_);
  std::swap(made_file_, other.made_file_);
  std::swap(made_folder_, other.made_folder_);
  return *this;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace longshot
