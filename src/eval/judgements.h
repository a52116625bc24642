#pragma once
// How good a reward model is, from its judgements of responses whose rightness is known. Pure.

#include <array>
#include <cstdint>
#include <vector>

#include "base/json.h"

namespace longshot::eval {

struct Judgement {
  double probability = 0;  // that the response is right, in [0, 1]; above 0.5 counts as a yes
  bool right = false;      // whether it is
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
  // Mean |share of right - mean probability| of ten bins of the probability, by their sizes (Naeini et al., AAAI 2015).
  double calibration_error = 0;
  std::array<JudgementBin, 10> bins;  // [0, 0.1), ... [0.9, 1]
  // The chance that a right response has a higher probability than a wrong one, a tie counting half; NaN with one class.
  double auc = 0;
};
// At least one judgement.
JudgementFigures summarize(const std::vector<Judgement>& judgements);

// Share of pairs whose better response is ahead, a tie counting half. At least one pair.
double pair_accuracy(const std::vector<JudgedPair>& pairs);

OrderedJson to_json(const JudgementFigures& figures);  // NaN becomes null

}  // namespace longshot::eval
