#pragma once
// The result of a problem, and how many problems reached which stage.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "curate/tests/votes.h"

namespace longshot::curate {

enum class State {
  kept,     // its row is in the output
  dropped,  // for a Reason
  error,    // could not be judged, for a reason outside the problem: to be done again
};

// In the order of the stages.
enum class Reason {
  none,
  special_judge,        // more than one output can be right
  too_few_submissions,  // too few in languages that the sandbox has
  no_code,              // the model's answer holds no Python program
  generator_fails,      // none of its runs ended well
  too_few_cases,        // too few different, non-empty ones
  too_few_valid,        // too few cases in which submissions agree
  too_few_passing,      // too few submissions pass all valid cases
};
const char* state_name(State state);
const char* reason_name(Reason reason);
std::optional<State> parse_state(const std::string& name);
std::optional<Reason> parse_reason(const std::string& name);

struct SubmissionResult {
  std::string language;
  bool passed = false;
  std::string message;  // the first valid case that it did not pass, and why
};

// The result of one generator.
struct Attempt {
  Reason reason = Reason::none;  // none: the problem is kept
  std::string message;           // figures and the first failure; for people
  std::string answer;            // the beginning of the model's answer if it holds no program
  std::string generator;
  int cases = 0;  // number of different, non-empty ones
  // Votes of each case judged; judging ends early if too few cases are left.
  std::vector<int> agreements;
  std::vector<int> valid_cases;  // their indices among the cases, from 0
  std::vector<SubmissionResult> submissions;
  std::vector<std::string> inputs, outputs;  // those of the valid cases
  int passing = 0;
};

struct Record {
  std::string id, content_hash;
  State state = State::error;
  Reason reason = Reason::none;
  std::string message;  // on one line, why it is not kept
  int attempts = 0;     // generators that were requested or given
  Attempt best;         // the one that came furthest
};

// The record without inputs and outputs, in the terms of docs/make-tests.md.
OrderedJson to_json(const Record& record);

// How many problems reached each stage; in the report 1,000, 614, 463 and 323.
struct Funnel {
  int statements = 0;             // judged or errors
  int without_special_judge = 0;  // of the statements
  int generators = 0;             // with enough valid cases
  int problems = 0;               // kept
  int errors = 0;                 // counted in the first two stages only
  std::map<Reason, int> dropped;

  void add(State state, Reason reason);
};

OrderedJson to_json(const Funnel& funnel);
// A table for people to read. `left`: the number of problems that are not done.
std::string format_table(const Funnel& funnel, const Thresholds& thresholds, int left);

}  // namespace longshot::curate
