#pragma once
// The warnings of a run, summed up.

#include <vector>

#include "report/findings.h"
#include "report/run_reader.h"

namespace longshot::report {

// The most kinds of warnings on the page; a last line counts the others.
constexpr size_t kMostKinds = 30;

// Returns one line for the warnings that differ only in numbers, with the newest text, in the order
// in which they first came. Leaves out those that contain one of the `said` words.
std::vector<Trouble> warning_kinds(const std::vector<LoggedWarning>& warnings,
                                   const std::vector<const char*>& said);

}  // namespace longshot::report
