#include "policy/as_recorded.h"

#include <algorithm>
#include <cmath>

namespace longshot::policy {

std::vector<double> recorded_logprobs(const data::TrainRow& row) {
  std::vector<double> out;
  for (size_t t = 1; t < row.tokens.size(); ++t) {
    if (row.loss_mask[t]) out.push_back(row.logprobs[t]);
  }
  return out;
}

void remove_rounding(const std::vector<double>& present, std::vector<double>& recorded) {
  for (size_t t = 0; t < present.size(); ++t) {
    if (std::abs(present[t] - recorded[t]) <= kRounding) recorded[t] = present[t];
  }
}

std::vector<double> gradient_as_recorded(const data::TrainRow& row, double advantage,
                                         const BoundObjective& objective) {
  const std::vector<double> recorded = recorded_logprobs(row);
  std::vector<double> grad(recorded.size());
  (void)objective({recorded, recorded, advantage}, grad);
  return grad;
}

bool is_flat(const data::TrainRow& row, double advantage, const BoundObjective& objective) {
  return std::ranges::all_of(gradient_as_recorded(row, advantage, objective),
                             [](double g) { return g == 0.0; });
}

}  // namespace longshot::policy
