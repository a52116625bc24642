#include "base/os/unshared_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <csignal>

namespace longshot {
namespace {

// Whoever opens the file meanwhile makes the system send a signal to this process: one that is
// ignored by default, unlike SIGIO, which would end it.
bool gets_lease(int fd) {
  if (::fcntl(fd, F_SETSIG, SIGURG) != 0 || ::fcntl(fd, F_SETLEASE, F_WRLCK) != 0) return false;
  return ::fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

// Whether `fd` is the only use of its file.
bool is_only_use(int fd) {
  struct stat info {};
  struct statfs system {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink != 1) return false;
  return ::fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC && gets_lease(fd);
}

}  // namespace

int open_unshared(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return -1;
  const int fd = ::open(to.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0 && is_only_use(fd)) return fd;
  if (fd >= 0) ::close(fd);
  ::unlink(to.c_str());
  return -1;
}

}  // namespace longshot
