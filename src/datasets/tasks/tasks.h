#pragma once
// Problem generators: unlimited verifiable problems, each with a completion that solves it, which
// is a long chain of thought or a program.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/rng.h"

namespace longshot::datasets {

struct Rendering {
  std::string prompt;
  std::string completion;  // chain of thought and final answer, or a fenced program
};

// The claim of a task that judges answers, for reward models that see only question and answer.
struct Claim {
  Rendering chars, text;  // question, and the claimed answer
  bool right = false;
};

struct Problem {
  std::string key;    // equal for problems that are the same in content
  Json ground_truth;  // a string, or an object where the reward rule needs more
  Rendering chars;    // compact, for a character tokenizer; the final answer follows '#'
  Rendering text;     // plain English, for pretrained models; the final answer is in \boxed{}
  std::optional<Claim> claim;
};

struct Task {
  const char* name;
  const char* data_source;
  const char* ability;   // verl's word for the kind
  const char* alphabet;  // every character of `chars`
  const char* level;     // the meaning of a level
  int min_level, max_level;
  int default_low, default_high;
  Problem (*make)(int level, CounterRng& rng);
  // A problem has many completions, so that sft.jsonl may contain several of them.
  bool many_completions = false;
};

// Sums of two numbers of `digits` digits, one column and its carry per step.
Problem make_addition(int digits, CounterRng& rng);
// Sums and differences of digits, one running total per step.
Problem make_chain(int operations, CounterRng& rng);
// Judges the claimed result of such a chain, which may also have products: the steps, a comparison,
// then {"correct": true} or {"correct": false}. A wrong claim is a near miss.
Problem make_check(int operations, CounterRng& rng);
// Reaches a target from numbers, each used once, by a search that proposes, evaluates, rejects and
// backtracks.
Problem make_countdown(int numbers, CounterRng& rng);
// Short Python programs: `steps` operations on a list of integers, then an output. The ground truth
// is {"inputs", "outputs"}, for the reward `code`.
Problem make_program(int steps, CounterRng& rng);

// Finds the one x in 1..`candidates` with (a x + b) mod m = t by trying. Traces give up at random
// and guess, so that they differ in length, and the longer ones are right more often.
Problem make_search(int candidates, CounterRng& rng);

const std::vector<Task>& tasks();
const Task* find_task(std::string_view name);  // nullptr if there is none
std::string task_names();                      // "addition, chain, ..."

}  // namespace longshot::datasets
