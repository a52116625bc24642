#pragma once
// Turns a child of a run's supervisor into the program: sets its descriptors and limits and removes
// all its rights.

#include <string>

#include "sandbox/jail/namespaces.h"
#include "sandbox/job.h"

namespace longshot::sandbox::jail {

struct Streams {
  int in = -1, out = -1, err = -1;
  int fault = -1;  // where become_program() reports a failure
};

// Called in the child that becomes the program. Afterwards the process has the job's limits, the
// program's id, no capabilities, only its three descriptors (and `fault` until exec), and only the
// system calls that the filter allows.
void become_program(const Job& job, const Ids& ids, const Streams& streams,
                    const std::string& filter, bool limit_address_space);

// Replaces the process by job.argv. Returns only through fault().
[[noreturn]] void execute(const Job& job);

}  // namespace longshot::sandbox::jail
