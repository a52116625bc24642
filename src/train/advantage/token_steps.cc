#include "train/advantage/token_steps.h"

namespace longshot::train {

std::vector<size_t> token_steps(std::span<const data::StepValue> steps,
                                std::span<const int> begins) {
  std::vector<size_t> out;
  out.reserve(begins.size());
  size_t step = 0;
  for (const int begin : begins) {
    while (step < steps.size() && steps[step].end <= begin) ++step;
    out.push_back(step);
  }
  return out;
}

}  // namespace longshot::train
