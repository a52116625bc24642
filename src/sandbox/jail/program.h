#pragma once
// From a run's supervisor to the program: descriptors, limits, and the loss of every right.

#include <string>

#include "sandbox/jail/namespaces.h"
#include "sandbox/job.h"

namespace longshot::sandbox::jail {

struct Streams {
  int in = -1, out = -1, err = -1;
  int fault = -1;  // where become_program() says that it failed
};

// In the child that is to be the program: from here on it has the job's limits, the program's id, no capabilities, no
// descriptor but its three and, until exec, `fault`, and only the filter's system calls.
void become_program(const Job& job, const Ids& ids, const Streams& streams,
                    const std::string& filter, bool limit_address_space);

// Replaces the process by job.argv. Only returns by a fault.
[[noreturn]] void execute(const Job& job);

}  // namespace longshot::sandbox::jail
