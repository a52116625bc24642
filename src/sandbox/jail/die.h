#pragma once
// The jail's own failures. Each of its processes has one purpose and exits when it cannot serve it,
// after writing the reason to a descriptor that its parent or the service reads. A failure is never
// how a program ended.

#include <string>

namespace longshot::sandbox::jail {

constexpr int kFaultExit = 125;

// Sets the descriptor to which fault() writes in this process.
void report_faults_to(int fd);
// Writes "WHAT: <errno's text>" and exits with kFaultExit.
[[noreturn]] void fault(const std::string& what);

// Returns the value, or ends the process with fault() if it is negative.
inline int must(int value, const char* what) {
  if (value < 0) fault(what);
  return value;
}

}  // namespace longshot::sandbox::jail
