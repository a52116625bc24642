#pragma once
// Measures how good a reward model is, from its judgements of responses that are known to be right
// or wrong. Pure.

#include <array>
#include <cstdint>
#include <vector>

#include "base/json.h"

namespace longshot::eval {

struct Judgement {
  double probability = 0;  // that the response is right, in [0, 1]; above 0.5 counts as a yes
  bool right = false;      // the truth
};
struct JudgedPair {
  double better = 0, worse = 0;  // probabilities or scores of the two responses
};

struct JudgementBin {
  int64_t count = 0;
  double probability = 0, right = 0;  // means; 0 in an empty bin
};

struct JudgementFigures {
  int64_t count = 0, right = 0;            // judged responses, and those of them that are right
  double accuracy = 0, low = 0, high = 0;  // with a 95 % Wilson interval
  double accuracy_of_right = 0, accuracy_of_wrong = 0;  // NaN without such responses
  double brier = 0;  // mean (probability - right)^2 (Brier, Monthly Weather Review 78, 1950)
  // Mean |share of right - mean probability| over ten bins of the probability, weighted by their
  // sizes (Naeini et al., AAAI 2015).
  double calibration_error = 0;
  std::array<JudgementBin, 10> bins;  // [0, 0.1), ... [0.9, 1]
  // The probability that a right response is rated above a wrong one; a tie counts half. NaN if all
  // responses are right or all are wrong.
  double auc = 0;
};
// Requires at least one judgement.
JudgementFigures summarize(const std::vector<Judgement>& judgements);

// Share of pairs whose better response is rated higher; a tie counts half. Requires at least one
// pair.
double pair_accuracy(const std::vector<JudgedPair>& pairs);

OrderedJson to_json(const JudgementFigures& figures);  // NaN becomes null

}  // namespace longshot::eval
