#pragma once
// Finds what went wrong in a run, from its metrics and from the warnings that were logged while it
// ran.

#include <string>
#include <vector>

#include "report/run_reader.h"

namespace longshot::report {

struct Trouble {
  std::string text;
  std::string when;  // how often, and in which iterations
};

// Returns first what the metrics show, the gravest first, and then the warnings that say something
// else, with those that differ only in numbers as one. Empty if nothing stands out. `run` has all
// of its steps, so that they are counted.
std::vector<Trouble> find_trouble(const RunData& run);

}  // namespace longshot::report
