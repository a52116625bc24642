#include "sandbox/jail/die.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace longshot::sandbox::jail {
namespace {

int fault_fd = STDERR_FILENO;

}  // namespace

void report_faults_to(int fd) {
  fault_fd = fd;
}

void fault(const std::string& what) {
  const std::string text = what + ": " + std::strerror(errno);
  [[maybe_unused]] const ssize_t written = ::write(fault_fd, text.data(), text.size());
  ::_exit(kFaultExit);
}

}  // namespace longshot::sandbox::jail
