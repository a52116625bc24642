#pragma once
// Turns one problem into test cases, or finds the reason why there are none.

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
  GeneratorRules rules;  // told to the model; `cases` is replaced by that of the thresholds
  // Generators requested at most; the first with enough valid cases is the last.
  int attempts = 3;
  uint64_t seed = 0;  // the seed of the cases
};

// Drops a problem that needs a special judge. Otherwise requests a generator from `author` (unless
// the problem has one), up to `attempts` times; runs each generator once per case; runs the first
// `submissions` submissions in languages that are offered on each case; and decides by
// `thresholds`.
// The first generator with enough valid cases decides whether the problem is kept: requesting
// further generators until the submissions happen to pass would choose the cases by the result.
// Judging ends early if too few cases are left for enough valid ones. A failure to judge is a
// record with State::error.
// Errors are those that end the whole run: cancelled, and invalid_argument of the author. `author`
// may be null if the problem has a generator.
Result<Record> make_one(const Problem& problem, const MakeOptions& options, Author* author,
                        Programs& programs);

// Ends the prompt of a row: the reward `code` runs the last fenced block.
inline constexpr const char* kDefaultInstruction =
    "Write a program that reads the input from standard input and writes the answer to standard "
    "output. "
    "Give it in one fenced code block that names its language.";

// verl's row for a kept problem: the ground truth in the form that reward `code` accepts, the
// statement and `instruction` as the prompt.
OrderedJson make_row(const Problem& problem, const Attempt& attempt,
                     const std::string& instruction);

}  // namespace longshot::curate
