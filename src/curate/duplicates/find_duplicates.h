#pragma once
// Exact and near duplicates among the rows of a file of words: MinHash signatures in bands propose
// pairs, the exact Jaccard similarity decides, and the pairs that pass are the edges of components.
// The first row of a component in the input is its representative.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/status.h"
#include "curate/duplicates/signatures.h"
#include "curate/text/line_file.h"

namespace longshot::curate {

struct DuplicateOptions {
  int shingle = 5;         // words of a shingle
  double threshold = 0.8;  // Jaccard similarity from which two texts are near duplicates
  int permutations = 96;   // hash functions
  uint64_t seed = 0;
  int threads = 2;
};

struct Duplicate {
  uint32_t row = 0;
  uint32_t representative = 0;
  bool exact = false;     // the same words as the representative
  double similarity = 1;  // with the representative
  // A row with which it is similar enough. Another row than the representative if only a chain of
  // similar rows joins the two; the similarity above may then be below the threshold.
  uint32_t linked = 0;
};

struct DuplicateSearch {
  std::vector<Duplicate> duplicates;  // by row, without the representatives
  Bands bands;
  int64_t distinct = 0;    // rows with different words
  int64_t candidates = 0;  // pairs proposed by the bands
  int64_t checks = 0;      // exact similarities computed
  int64_t largest_bucket = 0;
};

// `alive[row]`: the rows to look at, [words.lines()]. `scratch` is a folder that is made and
// removed. `on_progress(done, total)` is called in between. Rows without words are never
// duplicates. The result does not depend on the number of threads. Memory: see duplicate_memory().
// Errors: cancelled after stop_requested(); io_error.
Result<DuplicateSearch> find_duplicates(const LineFile& words, const std::vector<bool>& alive,
                                        const DuplicateOptions& options,
                                        const std::filesystem::path& scratch,
                                        const std::function<void(int64_t, int64_t)>& on_progress);

// Bytes of memory and of disk for so many rows, apart from buckets of similar texts.
struct DuplicateCost {
  double memory = 0, disk = 0;
};
DuplicateCost duplicate_cost(int64_t rows, const Bands& bands);

}  // namespace longshot::curate
