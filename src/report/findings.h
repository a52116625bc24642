#pragma once
// What went wrong in a run, read from its metrics: what the log warned of while it ran.

#include <string>
#include <vector>

#include "report/run_reader.h"

namespace longshot::report {

// Sentences with the number of iterations concerned and the worst figure, the gravest first. Empty if
// nothing stands out.
std::vector<std::string> find_trouble(const RunData& run);

}  // namespace longshot::report
