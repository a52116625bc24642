#include "curate/duplicates/bands.h"

#include <fmt/format.h>

#include <cmath>

namespace longshot::curate {

double candidate_probability(const Bands& bands, double similarity) {
  return 1 - std::pow(1 - std::pow(similarity, bands.rows), bands.bands);
}

Result<Bands> choose_bands(double threshold, int permutations) {
  for (int rows = permutations; rows >= 1; --rows) {
    const Bands bands{permutations / rows, rows};
    if (candidate_probability(bands, threshold) >= kLeastRecall) return bands;
  }
  const double needed = std::ceil(std::log(1 - kLeastRecall) / std::log(1 - threshold));
  return invalid_argument(
      fmt::format("duplicates.permutations = {} finds too few of the pairs at the threshold {}: at "
                  "least {:.0f} are needed",
                  permutations, threshold, needed));
}

}  // namespace longshot::curate
