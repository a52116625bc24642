#pragma once
// The first process of a run: makes its root, starts the program, watches its time and output, ends everything, and
// writes down what happened.

#include <string>
#include <vector>

#include "sandbox/jail/group.h"
#include "sandbox/jail/namespaces.h"
#include "sandbox/job.h"

namespace longshot::sandbox::jail {

struct RunContext {
  std::vector<std::string> mounts;  // of enter_image()
  Ids ids;                          // inside the lane
  std::string filter;
  Group group;
  bool warm = false;  // the program is this very process's copy, not another executable
};

// In new namespaces, as their first process. Writes an encoded Outcome to `result` and exits; with `warm` it returns in
// the child that is the program. Faults go to `fault_fd` and are no outcome.
void supervise(const Job& job, const RunContext& context, int result, int fault_fd);

}  // namespace longshot::sandbox::jail
