#include "tokenizer/bpe/scored_merges.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {

std::vector<std::pair<std::string, std::string>> scored_merges(std::span<const std::string> pieces,
                                                               std::span<const float> scores,
                                                               const std::vector<bool>& usable) {
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < pieces.size(); ++id)
    if (usable[id]) ids.emplace(pieces[id], id);
  struct Merge {
    float score;
    size_t left, right;
  };
  std::vector<Merge> merges;
  for (const auto& [piece, id] : ids) {
    for (size_t at = 0; at < piece.size();
         at += static_cast<size_t>(code_point_at(piece, at).length)) {
      const auto left = ids.find(piece.substr(0, at)), right = ids.find(piece.substr(at));
      if (at > 0 && left != ids.end() && right != ids.end())
        merges.push_back({scores[id], left->second, right->second});
    }
  }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(-a.score, a.left, a.right) < std::tuple(-b.score, b.left, b.right);
  });
  std::vector<std::pair<std::string, std::string>> out;
  out.reserve(merges.size());
  for (const Merge& merge : merges) out.emplace_back(pieces[merge.left], pieces[merge.right]);
  return out;
}

}  // namespace longshot::tokenizer
