#pragma once
// The merges of a SentencePiece BPE vocabulary, which has a score for each piece instead of a list
// of merges: the adjacent pair whose union has the highest score merges first.

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace longshot::tokenizer {

// All pairs (left, right) of `pieces` whose union is a piece too, by descending score of the union;
// equal ones in the order of ids. Pieces that are not `usable` take no part. All three lists have
// the same size; pieces are distinct and valid UTF-8.
std::vector<std::pair<std::string, std::string>> scored_merges(std::span<const std::string> pieces,
                                                               std::span<const float> scores,
                                                               const std::vector<bool>& usable);

}  // namespace longshot::tokenizer
