#pragma once
// GRESO: a prompt whose last groups had no variance probably gives no gradient again, so it is
// often skipped before anything is generated for it. Sources: Zheng et al., "Act Only When It
// Pays", arXiv 2506.02177; the lowest probabilities are AstraFlow's, arXiv 2605.15565. Plain
// numbers and pure functions; the sampler keeps the state.

#include <array>
#include <cstdint>

#include "base/spelling.h"

namespace longshot::prompts {

enum class Filter {
  none,   // every drawn prompt is used
  greso,  // a drawn prompt is used with Exploration::probability()
};

constexpr auto spellings(Filter) {
  using enum Filter;
  return std::to_array<Spelling<Filter>>({{none, "none"}, {greso, "greso"}});
}

// Consecutive groups of a prompt without variance: n > 0 if the last n were all right, -n if they
// were all wrong, 0 if there is no group or the last one had variance.
using Streak = int64_t;

// The streak after one more group. A group without variance is right if its mean reward is above
// 0.5; after one of the other kind the streak is 1 or -1.
Streak next_streak(Streak streak, bool has_variance, double mean_reward);

// The groups of an iteration by kind.
struct Outcomes {
  int64_t groups = 0, easy = 0, hard = 0;  // easy: all right, hard: all wrong
  void add(bool has_variance, double mean_reward);
  double easy_share() const;  // 0 without groups
  double hard_share() const;
};

// How readily prompts with a streak are tried again.
struct Exploration {
  static constexpr double kLowest = 0.01, kHighest = 0.99, kStep = 0.01;
  static constexpr double kEasyTarget = 0.083, kHardTarget = 0.167;  // shares of all groups
  static constexpr double kEasyFloor = 0.10, kHardFloor = 0.40;      // of probability()

  double p_easy = 0.5, p_hard = 0.5;  // in [kLowest, kHighest]

  // max(p^n, floor) for a streak of n groups, with the numbers of its kind; 1 for n = 0.
  double probability(Streak streak) const;
  // Lowers p by a step for a kind that has its target share of the groups or more, else raises it.
  // Without groups both stay.
  void adjust(const Outcomes& outcomes);
};

}  // namespace longshot::prompts
