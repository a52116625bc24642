#pragma once
// Finds what went wrong in a run from its metrics: the problems that the log warned of while it
// ran.

#include <string>
#include <vector>

#include "report/run_reader.h"

namespace longshot::report {

// Returns sentences with the number of affected iterations and the worst figure, the gravest first.
// Empty if nothing stands out.
std::vector<std::string> find_trouble(const RunData& run);

}  // namespace longshot::report
