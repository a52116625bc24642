#include "sandbox/jail/filter.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <initializer_list>
#include <sstream>
#include <string>
#include <string_view>

#include "sandbox/jail/die.h"

namespace longshot::sandbox::jail {
namespace {

// Grouped by purpose. Names that the architecture does not have are skipped.
constexpr std::string_view kAllowed[] = {
    // files
    "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat "
    "faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync "
    "fgetxattr flistxattr flock fstat fstatfs fsync ftruncate futimesat getcwd getdents "
    "getdents64 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl "
    "lchown lgetxattr link linkat listxattr llistxattr lseek lstat mkdir mkdirat newfstatat "
    "open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read "
    "readahead readlink readlinkat readv rename renameat renameat2 rmdir sendfile splice stat "
    "statfs statx symlink symlinkat sync_file_range tee truncate umask unlink unlinkat utime "
    "utimensat utimes vmsplice write writev",
    // memory
    "brk get_mempolicy madvise membarrier mincore mlock mlock2 mmap mprotect "
    "mremap msync munlock munmap pkey_alloc pkey_free pkey_mprotect rseq",
    // processes and threads
    "arch_prctl execve execveat exit exit_group fork futex futex_waitv get_robust_list "
    "getpgid getpgrp getpid getppid getpriority getrlimit getrusage getsid gettid kill "
    "pidfd_open pidfd_send_signal prctl rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr "
    "sched_getparam sched_getscheduler sched_rr_get_interval sched_yield set_robust_list "
    "set_tid_address setpgid setsid sigaltstack tgkill tkill vfork wait4 waitid "
    "restart_syscall pause",
    // users: a jail has only one
    "getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid setgid "
    "setregid setresgid setresuid setreuid setuid capget",
    // time and waiting
    "alarm clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl "
    "epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 getitimer "
    "gettimeofday nanosleep poll ppoll pselect6 select setitimer signalfd signalfd4 time "
    "timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create "
    "timerfd_gettime timerfd_settime times",
    // communication between processes of the run: pipes, local sockets
    "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg "
    "recvmsg sendmmsg sendmsg sendto setsockopt shutdown",
    // the machine
    "getcpu getrandom sysinfo uname"};

// This memory belongs to no process's address space.
constexpr std::string_view kSharedMemory =
    "memfd_create mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink semctl "
    "semget semop semtimedop shmat shmctl shmdt shmget msgctl msgget msgrcv msgsnd";

void allow(scmp_filter_ctx context, const char* name,
           std::initializer_list<scmp_arg_cmp> conditions = {}) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number < 0) return;  // the architecture does not have this call
  errno = -seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number,
                                  static_cast<unsigned>(conditions.size()), conditions.begin());
  if (errno != 0) fault(std::string("seccomp rule for ") + name);
}

void allow_all(scmp_filter_ctx context, std::string_view names) {
  std::istringstream stream{std::string(names)};
  for (std::string name; stream >> name;) allow(context, name.c_str());
}

void refuse(scmp_filter_ctx context, const char* name, int error) {
  const int number = seccomp_syscall_resolve_name(name);
  errno = -seccomp_rule_add_array(context, SCMP_ACT_ERRNO(error), number, 0, nullptr);
  if (errno != 0) fault(std::string("seccomp rule for ") + name);
}

scmp_arg_cmp equals(unsigned argument, uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}

// Calls that are harmless only with certain arguments.
void add_conditional(scmp_filter_ctx context) {
  constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                   CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  allow(context, "clone", {{0, SCMP_CMP_MASKED_EQ, kNamespaces, 0}});
  // Only local sockets: even the empty network of a jail exposes more kernel code than a program
  // needs.
  allow(context, "socket", {equals(0, AF_UNIX)});
  allow(context, "socketpair", {equals(0, AF_UNIX)});
  // A program may change its own limits and priority, but not those of the run's supervisor. The
  // core limit is read-only: a limit of 0 would start the host's core dump handler; the current
  // limit of 1 does not.
  for (uint64_t which = 0; which < RLIM_NLIMITS; ++which) {
    if (which == RLIMIT_CORE) continue;
    allow(context, "setrlimit", {equals(0, which)});
    allow(context, "prlimit64", {equals(0, 0), equals(1, which)});
  }
  allow(context, "prlimit64", {equals(0, 0), equals(1, RLIMIT_CORE), equals(2, 0)});
  allow(context, "sched_setaffinity", {equals(0, 0)});
  allow(context, "setpriority", {equals(0, PRIO_PROCESS), equals(1, 0)});
  // Allows pipes and regular files, but not devices.
  for (const uint64_t kind : {uint64_t{S_IFIFO}, uint64_t{S_IFREG}, uint64_t{0}}) {
    allow(context, "mknod", {{1, SCMP_CMP_MASKED_EQ, S_IFMT, kind}});
    allow(context, "mknodat", {{2, SCMP_CMP_MASKED_EQ, S_IFMT, kind}});
  }
  constexpr uint64_t kQuery = 0xffffffff, kNoRandomize = 0x0040000;
  for (const uint64_t persona : {uint64_t{0}, kQuery, kNoRandomize})
    allow(context, "personality", {equals(0, persona)});
}

}  // namespace

int make_filter(bool shared_memory) {
  const scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
  if (context == nullptr) fault("seccomp_init");
  seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  for (const std::string_view names : kAllowed) allow_all(context, names);
  if (shared_memory) allow_all(context, kSharedMemory);
  add_conditional(context);
  for (const char* name :
       {"ptrace", "mount", "umount2", "unshare", "setns", "chroot", "keyctl", "bpf"})
    refuse(context, name, EPERM);
  const int fd = must(::memfd_create("filter", 0), "memfd_create");
  errno = -seccomp_export_bpf(context, fd);
  if (errno != 0) fault("seccomp_export_bpf");
  seccomp_release(context);
  return fd;
}

}  // namespace longshot::sandbox::jail
