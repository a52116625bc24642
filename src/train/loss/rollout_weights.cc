#include "train/loss/rollout_weights.h"

#include <algorithm>

#include "base/check.h"
#include "train/loss/kl_penalty.h"

namespace longshot::train {

std::vector<double> rollout_weights(std::span<const double> start, std::span<const double> drawn,
                                    const RolloutWeightOptions& options) {
  LS_CHECK(start.size() == drawn.size(), "two log-probabilities per token");
  std::vector<double> out(start.size(), 1.0);
  if (options.kind == RolloutWeights::none) return out;
  for (size_t t = 0; t < out.size(); ++t) {
    const double ratio = limited_exp(start[t] - drawn[t]);
    const bool inside = ratio >= options.low && ratio <= options.high;
    out[t] = options.kind == RolloutWeights::truncate ? std::min(ratio, options.high)
             : inside                                 ? ratio
                                                      : 0.0;
  }
  return out;
}

}  // namespace longshot::train
