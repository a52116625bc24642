#pragma once
// The jail's own failures. Its processes are made for one purpose and end when they cannot serve it: they say why, on a
// descriptor that somebody reads, and exit. Nothing here is ever a verdict on a program.

#include <string>

namespace longshot::sandbox::jail {

constexpr int kFaultExit = 125;

// Where fault() writes in this process from now on.
void report_faults_to(int fd);
// "WHAT: <errno's text>" goes out and the process exits with kFaultExit.
[[noreturn]] void fault(const std::string& what);

// The value, unless it is negative.
inline int must(int value, const char* what) {
  if (value < 0) fault(what);
  return value;
}

}  // namespace longshot::sandbox::jail
