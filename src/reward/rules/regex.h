#pragma once
// A compiled PCRE2 expression with bounded matching. Thread-safe after compile().

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longshot::reward {

class Regex {
 public:
  // UTF-8 aware where the text is valid UTF-8. invalid_argument with the position of a mistake.
  static Result<Regex> compile(const std::string& pattern, bool whole_text);

  struct Match {
    size_t begin = 0, end = 0;  // bytes
    std::string_view group;     // the first group, or the whole match when it has none
  };
  // The first match at or after `from`; an internal error when matching needs too many steps (a
  // pattern with catastrophic backtracking).
  Result<std::optional<Match>> search(std::string_view text, size_t from = 0) const;

 private:
  std::string pattern_;
  std::shared_ptr<void> code_;
};

}  // namespace longshot::reward
