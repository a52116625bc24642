#pragma once
// How many rounds an iteration with algorithm.filter_groups needs, and how long responses are.
// Pure.

#include <cstdint>
#include <vector>

namespace longshot::loop {

struct ExpectedRound {
  double probability = 1;  // that it takes place
  double groups = 0;       // that it generates if it does, on average
};

// The rounds of a batch of `groups` groups if each generated group is dropped with probability
// `dropped`, independently of the others, and a new one takes its place in the next round. A place
// of the batch is empty after r rounds with probability dropped^r. Rounds that take place in less
// than one of 1,000 iterations are left out.
std::vector<ExpectedRound> expected_rounds(double groups, double dropped, int most_rounds);

// Groups in the batch at the end, on average: groups * (1 - dropped^most_rounds).
double expected_groups(double groups, double dropped, int most_rounds);

// Tokens of responses.
struct Lengths {
  std::vector<int> recorded;    // of a run's samples; if empty:
  double mean = 0, spread = 0;  // average and standard deviation of a log-normal distribution
  int most = 1;                 // longer ones are cut

  // Of `count` samples. Recorded lengths are used equally often, in a random order that depends on
  // `seed`.
  std::vector<int> draw(int count, uint64_t seed) const;
};

}  // namespace longshot::loop
