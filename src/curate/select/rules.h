#pragma once
// Which samples of one prompt become training rows.

#include <cstdint>
#include <utility>
#include <vector>

#include "base/spelling.h"
#include "curate/select/response_filter.h"

namespace longshot::curate {

enum class SelectRule {
  correct,   // rejection sampling: correct samples
  shortest,  // the shortest correct ones
  pairs,     // preference pairs for DPO (below)
  best_of,   // those with the highest score
};
constexpr auto spellings(SelectRule) {
  using enum SelectRule;
  return std::to_array<Spelling<SelectRule>>(
      {{correct, "correct"}, {shortest, "shortest"}, {pairs, "pairs"}, {best_of, "best-of"}});
}

// Which of the correct samples a cap leaves.
enum class Preference { random, shortest, longest };
constexpr auto spellings(Preference) {
  using enum Preference;
  return std::to_array<Spelling<Preference>>(
      {{random, "random"}, {shortest, "shortest"}, {longest, "longest"}});
}

struct RuleOptions {
  SelectRule rule = SelectRule::correct;
  ResponseFilter filter;
  int per_problem = 0;  // rows of a prompt; 0: all for `correct` and `pairs`, 1 for the others
  Preference prefer = Preference::random;  // for `correct` with a cap
  double ratio = 1.5;                      // for `pairs`
  uint64_t seed = 0;                       // of random choices, with the prompt's id
  bool duplicates = false;                 // keep responses that differ only in white space
};

struct Drop {
  size_t sample = 0;  // place in JudgedPrompt::samples
  DropReason reason = DropReason::failed;
};

// Places in JudgedPrompt::samples. Every sample is either used or dropped for one reason.
struct Selection {
  std::vector<size_t> responses;                 // rows to imitate, by index
  std::vector<std::pair<size_t, size_t>> pairs;  // (chosen, rejected), by index of the rejected
  std::vector<Drop> drops;                       // by place
};

// Lengths are tokens, or characters if the number of tokens of a sample of the prompt is unknown.
// Among equals the lower index comes first.
//
// `pairs` (Kimi k1.5, long2short DPO): chosen is the shortest correct response that the filter
// passes. Rejected are wrong responses longer than it, and correct ones at least `ratio` times as
// long. With a cap, wrong and long correct ones are taken in turns, the longest first.
Selection select(const JudgedPrompt& prompt, const RuleOptions& options);

}  // namespace longshot::curate
