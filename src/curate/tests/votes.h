#pragma once
// Decides which test cases are valid and which submissions pass: Kimi k1.5 report (arXiv
// 2501.12599), section 2.3.5, "Test Case Generation for Coding". Pure.

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::curate {

// The report's numbers.
struct Thresholds {
  int cases = 50;        // runs of a generator
  int submissions = 10;  // of a problem, run on every case
  int min_agree = 7;     // submissions with the same output, for a case to be valid
  int min_valid = 40;    // valid cases that a generator needs
  int min_passing = 9;   // submissions that pass all valid cases, for a problem to be kept
};
// Returns invalid_argument for a number below 1 or above its total (`cases` or `submissions`), and
// for a min_agree of at most half of the submissions, where two outputs could both be the agreed
// one.
Status check_thresholds(const Thresholds& thresholds);

// The answer of a submission to a case.
struct Answer {
  bool ran = false;    // ended with exit code 0, within all limits
  std::string output;  // only if it ran
};

struct Agreement {
  int votes = 0;           // submissions with the most frequent output
  size_t first = 0;        // the first of them; meaningless without votes
  std::vector<bool> same;  // [submissions] true for these submissions
};

// Outputs are compared as by the sandbox's `lines`: white space at the ends of lines and of the
// text is ignored. Only submissions that ran have a vote. An output without a visible character has
// no vote, because a program that does nothing would pass such a case. Of equally frequent outputs
// the one that comes first leads.
Agreement find_agreement(const std::vector<Answer>& answers);

// Adds up the cases of one generator.
class Votes {
 public:
  explicit Votes(const Thresholds& thresholds) : thresholds_(thresholds) {}

  // Adds a case. Returns true if it is valid, that is, if it has at least min_agree votes.
  bool add(const Agreement& agreement);

  const std::vector<int>& agreements() const { return agreements_; }  // votes of each case added
  int valid() const { return valid_; }
  bool enough_valid() const { return valid_ >= thresholds_.min_valid; }
  bool can_be_enough(int cases_left) const { return valid_ + cases_left >= thresholds_.min_valid; }

  // [submissions] A submission passes if it gave the agreed output in every valid case; its answers
  // in other cases do not matter. Empty before the first valid case.
  const std::vector<bool>& passed() const { return passed_; }
  int passing() const;
  bool enough_passing() const { return passing() >= thresholds_.min_passing; }

 private:
  const Thresholds thresholds_;
  std::vector<int> agreements_;
  std::vector<bool> passed_;
  int valid_ = 0;
};

}  // namespace longshot::curate
