#pragma once
// What a model is asked, and what is taken from its answer. All functions are pure.

#include <optional>
#include <string>
#include <vector>

#include "data/types.h"

namespace longshot::curate {

// What the model is told about how its program is run.
struct GeneratorRules {
  int cases = 50;
  double seconds = 10;  // processor time of a run
  int max_kb = 1024;    // of an input
};

// One user message: how a generator is run, what CYaRon offers, the statement. (The report's model was given CYaRon's usage
// statement and the problem: section 2.3.3.)
std::vector<data::Message> generator_request(const std::string& statement,
                                             const GeneratorRules& rules);

// The last complete fenced block of the answer that is called python, py or python3, else the last that has no name;
// after the last </think>, if there is one.
std::optional<std::string> python_code(const std::string& answer);

}  // namespace longshot::curate
