#pragma once
// The request to a model for a generator, and the extraction of the program from its answer. All
// functions are pure.

#include <optional>
#include <string>
#include <vector>

#include "data/types.h"

namespace longshot::curate {

// What the request says about how the program is run.
struct GeneratorRules {
  int cases = 50;
  double seconds = 10;  // processor time of a run
  int max_kb = 1024;    // limit of an input
};

// Returns one user message: how a generator is run, what CYaRon offers, the statement. (The
// report's model was given CYaRon's usage statement and the problem: section 2.3.5.)
std::vector<data::Message> generator_request(const std::string& statement,
                                             const GeneratorRules& rules);

// Returns the last complete fenced block of the answer that is called python, py or python3, else
// the last that has no name (reward::program_of).
std::optional<std::string> python_code(const std::string& answer);

}  // namespace longshot::curate
