#pragma once
// The first process of a run: creates its root, starts the program, watches its time and output,
// ends everything, and writes the outcome.

#include <string>
#include <vector>

#include "sandbox/jail/group.h"
#include "sandbox/jail/namespaces.h"
#include "sandbox/job.h"

namespace longshot::sandbox::jail {

struct RunContext {
  std::vector<std::string> mounts;  // from enter_image()
  Ids ids;                          // inside the lane
  std::string filter;
  Group group;
  bool warm = false;  // the program is a copy of this process instead of another executable
};

// Must be called in new namespaces, as their first process. Writes an encoded Outcome to `result`
// and exits. With `warm` it returns in the child that becomes the program. Faults are written to
// `fault_fd` and produce no outcome.
void supervise(const Job& job, const RunContext& context, int result, int fault_fd);

}  // namespace longshot::sandbox::jail
