#pragma once
// A compiled PCRE2 expression with bounded matching. Thread-safe after compile().

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longshot::reward {

class Regex {
 public:
  // Characters are UTF-8 where the text is valid UTF-8. whole_text: the expression must match the
  // whole text. An invalid pattern is invalid_argument with the position of the mistake.
  static Result<Regex> compile(const std::string& pattern, bool whole_text);

  struct Match {
    size_t begin = 0, end = 0;  // bytes
    std::string_view group;     // the first group, or the whole match when it has none
  };
  // Returns the first match at or after `from`. Returns an internal error if matching needs too
  // many steps (a pattern with catastrophic backtracking).
  Result<std::optional<Match>> search(std::string_view text, size_t from = 0) const;
  // All matches from left to right that do not overlap, with the errors of search().
  Result<std::vector<Match>> find_all(std::string_view text) const;
  // Replaces these matches; $0, $1, ... in `replacement` are the match and its groups.
  Result<std::string> replace_all(std::string_view text, std::string_view replacement) const;

 private:
  std::string pattern_;
  std::shared_ptr<void> code_;
};

}  // namespace longshot::reward
