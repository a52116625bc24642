#pragma once
// Candidate pairs inside a large bucket, as of texts that share long boilerplate, without comparing
// all pairs. Two sets with Jaccard similarity >= t share at least one of the first
// n - ceil(t n) + 1 elements of each, in any common order (Chaudhuri, Ganti and Kaushik, "A
// primitive operator for similarity joins in data cleaning", 2006). With the rarest shingles of the
// bucket first, texts that share only the boilerplate do not meet.

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "curate/duplicates/pair_checker.h"

namespace longshot::curate {

// Proposes the candidates among `rows` (ascending). A row is compared with at most kMostLeaders
// components for each of its first shingles, which bounds the work by a multiple of the rows.
// Memory: 16 bytes for each first shingle, (1 - t) of all, and 4 MiB. Error: cancelled after
// stop_requested().
constexpr size_t kMostLeaders = 128;
Status join_by_prefixes(const std::vector<uint32_t>& rows, PairChecker& checker);

}  // namespace longshot::curate
