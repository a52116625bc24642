#include <linux/filter.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <vector>

#include "sandbox/jail/die.h"
#include "sandbox/jail/filter.h"
#include "sandbox/jail/syscalls.h"

namespace longshot::sandbox::jail {

std::string read_filter(int fd) {
  std::string program(must(static_cast<int>(::lseek(fd, 0, SEEK_END)), "the filter's size"), '\0');
  if (::pread(fd, program.data(), program.size(), 0) != static_cast<ssize_t>(program.size()))
    fault("reading the filter");
  return program;
}

void install_filter(const std::string& program) {
  // The kernel's interface requires a pointer to non-const instructions.
  std::vector<sock_filter> instructions(program.size() / sizeof(sock_filter));
  std::copy(program.begin(), program.end(), reinterpret_cast<char*>(instructions.data()));
  const sock_fprog filter{static_cast<unsigned short>(instructions.size()), instructions.data()};
  must(static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter)), "seccomp");
}

}  // namespace longshot::sandbox::jail
