#pragma once
// The system calls that a program in a jail may make: a list of those that are allowed. All others fail with ENOSYS, as
// on a kernel that does not have them, so that libraries take their older paths.

#include <string>

namespace longshot::sandbox::jail {

// A BPF program of the running architecture in a file in memory. Faults end the process. In a file of its own
// (filter.cc), because it alone needs libseccomp, which an interpreter is not made to load.
// `shared_memory`: whether memory that no process's address space has to hold is allowed (memfd, System V and POSIX
// message queues, semaphores and segments): only where a control group counts it.
int make_filter(bool shared_memory);

// The program's bytes.
std::string read_filter(int fd);
// For this process and all its children, for ever. Needs no_new_privs.
void install_filter(const std::string& program);

}  // namespace longshot::sandbox::jail
