#pragma once
// One problem, from its statement to test cases or to the reason why there are none.

#include <string>

#include "base/status.h"
#include "curate/tests/author.h"
#include "curate/tests/problem.h"
#include "curate/tests/programs.h"
#include "curate/tests/record.h"
#include "curate/tests/request.h"
#include "curate/tests/votes.h"

namespace longshot::curate {

struct MakeOptions {
  Thresholds thresholds;
  GeneratorRules rules;  // what the model is told; `cases` is that of the thresholds
  int attempts = 3;      // generators asked for, until one has enough valid cases
  uint64_t seed = 0;     // of the cases
};

// Drops a problem that needs a special judge. Asks `author` (unless the problem has a generator) up to `attempts`
// times, runs each program once a case, runs the first `submissions` submissions in languages that are offered on each
// case, and decides by `thresholds`. The first generator with enough valid cases decides whether the problem is kept:
// asking on until the submissions happen to pass would choose the cases by the result. Judging ends early once too few
// cases are left for enough valid ones. A failure to judge is a record with State::error. Errors: those that end the
// whole run: cancelled, and invalid_argument of the author. `author` may be null if the problem has a generator.
Result<Record> make_one(const Problem& problem, const MakeOptions& options, Author* author,
                        Programs& programs);

// Ends the prompt of a row: the reward `code` runs the last fenced block.
inline constexpr const char* kDefaultInstruction =
    "Write a program that reads the input from standard input and writes the answer to standard "
    "output. "
    "Give it in one fenced code block that names its language.";

// verl's row for a kept problem: ground truth as reward `code` takes it, statement and `instruction` as the prompt.
OrderedJson make_row(const Problem& problem, const Attempt& attempt,
                     const std::string& instruction);

}  // namespace longshot::curate
