#pragma once
// System calls for which Debian 12 and Ubuntu 22.04 do not both have C library wrappers. They set
// errno.

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

namespace longshot::sandbox::jail {

// Copy of the kernel's definition, whose headers conflict with the C library's.
struct MountAttributes {
  uint64_t set = 0, clear = 0, propagation = 0, userns_fd = 0;
};
constexpr uint64_t kMountReadOnly = 1, kMountNoSuid = 2, kMountNoDev = 4;
constexpr unsigned kCloneTree = 1;       // OPEN_TREE_CLONE
constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE

inline int open_tree(const char* path, bool recursive) {
  return static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, path,
                                    kCloneTree | O_CLOEXEC | (recursive ? kRecursive : 0)));
}
inline int set_mount(int tree, const MountAttributes& attributes) {
  return static_cast<int>(::syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | kRecursive,
                                    &attributes, sizeof(attributes)));
}
inline int move_mount(int tree, const char* path) {
  constexpr unsigned kFromIsEmptyPath = 4;
  return static_cast<int>(::syscall(SYS_move_mount, tree, "", AT_FDCWD, path, kFromIsEmptyPath));
}
inline int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(::syscall(SYS_pivot_root, new_root, put_old));
}
// Copies this process without running the C library's fork handlers, so it is only for processes
// with one thread.
inline pid_t raw_clone(uint64_t flags, int* pidfd) {
  clone_args arguments{};
  arguments.flags = flags | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(pidfd);
  arguments.exit_signal = SIGCHLD;
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof(arguments)));
}
inline int open_pidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}
inline int signal_pidfd(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}
inline int close_from(unsigned first) {
  return static_cast<int>(::syscall(SYS_close_range, first, ~0u, 0));
}
// Never leaves `directory` and never follows a symbolic link.
inline int open_beneath(int directory, const char* path, uint64_t flags, uint64_t mode) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof(how)));
}

}  // namespace longshot::sandbox::jail
