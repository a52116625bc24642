#include "rollout/sampling/repetition.h"

#include <algorithm>

namespace longshot::rollout {

bool RepetitionDetector::update(std::span<const data::TokenId> tokens) {
  const int last = static_cast<int>(tokens.size()) - 1;
  const int periods = std::min(static_cast<int>(run_.size()) - 1, last);
  bool loop = false;
  for (int p = 1; p <= periods; ++p) {
    run_[p] = tokens[last] == tokens[last - p] ? run_[p] + 1 : 0;
    const int looped = run_[p] + p;  // the first block has nothing before it to equal
    loop |= looped >= options_.min_tokens && looped >= options_.min_repeats * p;
  }
  return loop;
}

}  // namespace longshot::rollout
