#pragma once
// The shingles of a text: all runs of n consecutive words, as 64-bit hashes. Two different shingles
// have the same hash with a probability of about 2^-63, which comparisons of hashes neglect. Pure
// and thread-safe.

#include <cstdint>
#include <string_view>
#include <vector>

namespace longshot::curate {

// `words` are separated by single spaces (comparison_words()). `hashes` receives the hashes of the
// words in their order.
void hash_words(std::string_view words, std::vector<uint64_t>& hashes);

// Hashes of the runs of n words: run i begins at word i, [words - n + 1]; none if there are fewer
// than n words. The hash depends on the words of the run and their number only.
void hash_runs(const std::vector<uint64_t>& words, int n, std::vector<uint64_t>& runs);

// The set of the shingles of n words: ascending, each once. A text of fewer than n words is one
// shingle of all of its words, so different short texts stay different; a text without words has
// none.
void shingle_set(std::string_view words, int n, std::vector<uint64_t>& set);

// |a and b| / |a or b| of two ascending sets; 0 if both are empty.
double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b);

// False if the sizes of two sets alone say that their similarity is below the threshold.
bool sizes_allow(size_t a, size_t b, double threshold);

}  // namespace longshot::curate
