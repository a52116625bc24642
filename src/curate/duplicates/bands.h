#pragma once
// The bands of locality-sensitive hashing. A signature of bands * rows values is cut into bands.
// Two texts are candidates if all values of at least one band are equal, which has the probability
// 1 - (1 - s^rows)^bands at Jaccard similarity s (Leskovec, Rajaraman and Ullman, "Mining of
// Massive Datasets", section 3.4).

#include "base/status.h"

namespace longshot::curate {

struct Bands {
  int bands = 0;
  int rows = 0;  // values of a band
  int functions() const { return bands * rows; }
};

double candidate_probability(const Bands& bands, double similarity);

// The lowest recall of pairs that are exactly at the threshold.
constexpr double kLeastRecall = 0.99;

// The most rows a band, so the fewest false candidates, for which `permutations` hash functions
// make a pair at the threshold a candidate with probability kLeastRecall. invalid_argument that
// says how many are needed if even bands of one row do not.
Result<Bands> choose_bands(double threshold, int permutations);

}  // namespace longshot::curate
