#include "train/pass/lane_cut.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <string_view>
#include <unordered_map>

namespace longshot::train {
namespace {

// Rows that stay together.
struct Piece {
  std::vector<size_t> rows;
  int64_t tokens = 0;  // a shared prompt counts once
};

// Joins rows with the same prompt as long as a piece has at most `most` tokens.
std::vector<Piece> make_pieces(const std::vector<PassRow>& rows, bool share_prompts, int64_t most) {
  std::vector<Piece> pieces;
  std::unordered_map<std::string_view, size_t> open;  // the newest piece with that prompt
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto tokens = static_cast<int64_t>(rows[i].tokens.size());
    if (share_prompts && rows[i].prompt > 0) {
      const auto [found, first] = open.try_emplace(prompt_bytes(rows[i]), pieces.size());
      const int64_t response = tokens - rows[i].prompt;
      if (!first && pieces[found->second].tokens + response <= most) {
        pieces[found->second].rows.push_back(i);
        pieces[found->second].tokens += response;
        continue;
      }
      found->second = pieces.size();
    }
    pieces.push_back({{i}, tokens});
  }
  return pieces;
}

int64_t total_tokens(const std::vector<Piece>& pieces) {
  return std::accumulate(pieces.begin(), pieces.end(), int64_t{0},
                         [](int64_t sum, const Piece& piece) { return sum + piece.tokens; });
}

}  // namespace

// Longest piece first, each into the lane with the fewest tokens so far.
std::vector<std::vector<size_t>> cut_into_lanes(const std::vector<PassRow>& rows, int lanes,
                                                bool share_prompts) {
  std::vector<std::vector<size_t>> parts(static_cast<size_t>(lanes));
  const auto whole = make_pieces(rows, share_prompts, std::numeric_limits<int64_t>::max());
  std::vector<Piece> pieces = make_pieces(rows, share_prompts, total_tokens(whole) / lanes);
  std::ranges::stable_sort(pieces, std::ranges::greater{}, &Piece::tokens);
  std::vector<int64_t> tokens(parts.size());
  for (const Piece& piece : pieces) {
    const auto lane = static_cast<size_t>(std::ranges::min_element(tokens) - tokens.begin());
    tokens[lane] += piece.tokens;
    parts[lane].insert(parts[lane].end(), piece.rows.begin(), piece.rows.end());
  }
  for (auto& part : parts) std::ranges::sort(part);
  return parts;
}

}  // namespace longshot::train
