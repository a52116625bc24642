#pragma once
// The list of system calls that a program in a jail may make. All others fail with ENOSYS, as on a
// kernel without them, so that libraries fall back to older calls.

#include <string>

namespace longshot::sandbox::jail {

// Returns a file in memory with a BPF program for the running architecture. Faults end the process.
// The function has its own source file (filter.cc), because only it needs libseccomp, which an
// interpreter should not have to load. `shared_memory`: allows memory that belongs to no process's
// address space (memfd, System V and POSIX message queues, semaphores and segments). Set it only
// where a control group counts that memory.
int make_filter(bool shared_memory);

// The program's bytes.
std::string read_filter(int fd);
// Applies to this process and all its children permanently. Requires no_new_privs.
void install_filter(const std::string& program);

}  // namespace longshot::sandbox::jail
