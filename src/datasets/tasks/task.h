#pragma once
// Problem generators: unlimited verifiable problems with a completion that solves each: a long chain of thought, or a
// program.

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

// What a task that judges answers asks about, for reward models that see question and answer alone.
struct Claim {
  Rendering chars, text;  // question, and the answer that is claimed
  bool right = false;
};

struct Problem {
  std::string key;    // equal for problems that are the same in content
  Json ground_truth;  // a string, or an object where the reward rule needs more
  Rendering chars;    // compact, for a character tokenizer; the final answer stands after '#'
  Rendering text;     // plain English, for pretrained models; the final answer stands in \boxed{}
  std::optional<Claim> claim;
};

struct Task {
  const char* name;
  const char* data_source;
  const char* ability;   // verl's word for the kind
  const char* alphabet;  // every character of `chars`
  const char* level;     // what a level is
  int min_level, max_level;
  int default_low, default_high;
  Problem (*make)(int level, CounterRng& rng);
};

// d-digit + d-digit numbers, one column and its carry a step.
Problem make_addition(int digits, CounterRng& rng);
// Sums and differences of digits, one running total a step.
Problem make_chain(int operations, CounterRng& rng);
// Whether the claimed result of such a chain, with products too, is right: the steps, a comparison, then
// {"correct": true} or {"correct": false}. A wrong claim is a near miss.
Problem make_check(int operations, CounterRng& rng);
// Reach a target from numbers, each used once; a search that proposes, evaluates, rejects and
// backtracks.
Problem make_countdown(int numbers, CounterRng& rng);
// Short Python programs: so many steps over a list of integers, then what is printed. The ground truth is {"inputs",
// "outputs"}, for the reward `code`.
Problem make_program(int steps, CounterRng& rng);

const std::vector<Task>& tasks();
const Task* find_task(std::string_view name);  // nullptr if there is none
std::string task_names();                      // "addition, chain, ..."

}  // namespace longshot::datasets
