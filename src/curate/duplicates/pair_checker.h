#pragma once
// The exact check of candidate pairs: their texts are read again by position and the Jaccard
// similarity of their shingles is computed. Pairs that pass join components.

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "curate/duplicates/disjoint_sets.h"
#include "curate/text/line_file.h"

namespace longshot::curate {

// Not thread-safe. Memory: 8 bytes a row and 12 MiB.
class PairChecker {
 public:
  struct Counts {
    int64_t candidates = 0;  // pairs that were proposed and not joined yet
    int64_t checks = 0;      // similarities computed
    int64_t edges = 0;       // pairs that joined two components
  };

  // `words` must outlive this object.
  PairChecker(const LineFile& words, int shingle, double threshold);

  using Shingles = std::vector<uint64_t>;
  Result<const Shingles*> load(uint32_t row);  // valid until 63 other rows were loaded
  double threshold() const { return threshold_; }
  // Joins the two rows if they are similar enough. Does nothing for rows that are joined already
  // and for pairs that were refused lately.
  Status propose(uint32_t a, uint32_t b);
  // Joins rows that are known to be equal.
  void join_equal(uint32_t a, uint32_t b) { components_.unite(a, b); }

  DisjointSets& components() { return components_; }
  const Counts& counts() const { return counts_; }

 private:
  struct Loaded {
    bool used = false;
    uint32_t row = 0;
    Shingles shingles;
  };
  Status check(uint32_t a, uint32_t b, bool& similar);

  const LineFile& words_;
  int shingle_;
  double threshold_;
  DisjointSets components_;
  std::vector<uint64_t> refused_;  // pairs, at the place of their hash; a later pair replaces one
  std::vector<Loaded> loaded_;     // by age of use, in turns
  size_t next_slot_ = 0;
  std::string text_;
  Counts counts_;
};

}  // namespace longshot::curate
