#pragma once
// Finds problems of a training set that are in evaluation files, by shared n-grams of words and by
// the similarity of whole texts.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "curate/duplicates/signatures.h"

namespace longshot::curate {

struct OverlapOptions {
  int ngram = 13;  // words
  // Texts of at least this many words are found inside longer ones; shorter ones only if they are
  // the whole problem. At most `ngram`.
  int least_words = 8;
  // An n-gram of more than this many evaluation rows is boilerplate and is ignored; 0: none is.
  int common = 10;
  double threshold = 0.8;  // Jaccard similarity of whole texts
  int shingle = 5;
  int permutations = 96;
  uint64_t seed = 0;
};

struct Overlap {
  uint32_t row = 0;       // of the evaluation rows, in the order of add()
  std::string words;      // the shared n-gram; empty if the texts are similar as a whole
  double similarity = 0;  // if `words` is empty
};

// Memory: about 40 bytes for each n-gram of an evaluation row, of (ngram - least_words + 1)
// lengths, and 8 for each shingle. find() is thread-safe after finish().
class EvaluationIndex {
 public:
  static Result<EvaluationIndex> create(const OverlapOptions& options);

  // Words as of comparison_words(). Rows are numbered as they are added.
  void add(std::string_view words);
  void finish();
  size_t rows() const { return shingles_.size(); }

  // The overlap with the first evaluation row that has one: shared n-grams before similarity.
  std::optional<Overlap> find(std::string_view words) const;

 private:
  struct Gram {
    uint32_t row = 0;   // the first row that has it
    uint32_t last = 0;  // the last one
    uint32_t rows = 0;
  };
  using Grams = std::unordered_map<uint64_t, Gram>;
  EvaluationIndex(const OverlapOptions& options, const Bands& bands)
      : options_(options), signatures_(bands, options.shingle, options.seed) {}
  void add_grams(const std::vector<uint64_t>& hashes, int length, uint32_t row, Grams& grams) const;
  std::optional<Overlap> find_runs(std::string_view words, const std::vector<uint64_t>& hashes,
                                   int length, const Grams& grams, int common) const;
  std::optional<Overlap> find_gram(std::string_view words) const;
  std::optional<Overlap> find_similar(std::string_view words) const;

  OverlapOptions options_;
  Signatures signatures_;
  Grams grams_;  // runs of least_words to ngram words of all rows
  Grams whole_;  // whole rows of fewer than ngram words
  std::vector<int> whole_lengths_;
  std::vector<std::vector<uint64_t>> shingles_;           // by row
  std::vector<std::pair<uint64_t, uint32_t>> band_rows_;  // key of a band and row, sorted
};

}  // namespace longshot::curate
