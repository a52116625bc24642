#pragma once
// Scans plain mathematics outside brackets.

#include <string>
#include <string_view>
#include <vector>

#include "base/text/text.h"

namespace longshot::math {

// Length of the bracket at i if it is one of `kinds`: 1 for ( [ {, 2 for \{, 7 for \langle and
// \rangle, which are of the kinds ( and ). \begin and \end are kinds of their own ('b' and 'e'). 0
// otherwise.
size_t bracket_at(std::string_view text, size_t i, std::string_view kinds);

// The position just after the bracket that closes the one at 0; npos if there is none.
size_t after_closing(std::string_view text);

// Cuts a text outside brackets. `match(i)` returns the length of a separator at i, or 0 if there is
// none; it is not called inside brackets. Parts are trimmed. `separators`, if given, receives the
// text of each separator. The result is empty if brackets do not match.
template <typename Match>
std::vector<std::string_view> cut_outside(std::string_view text, const Match& match,
                                          std::vector<std::string_view>* separators = nullptr);

template <typename Match>
std::vector<std::string_view> cut_outside(std::string_view text, const Match& match,
                                          std::vector<std::string_view>* separators) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t open = bracket_at(text, i, "([{b"), close = open ? 0 : bracket_at(text, i, ")]}e");
    depth += open ? 1 : close ? -1 : 0;
    if (depth < 0) return {};
    const size_t length = depth == 0 && !open && !close ? match(i) : 0;
    if (length > 0) {
      parts.push_back(trim(text.substr(start, i - start)));
      if (separators) separators->push_back(text.substr(i, length));
      start = i + length;
    }
    const bool escape = text[i] == '\\' && i + 1 < text.size() && !is_alpha(text[i + 1]);
    i += length ? length : open ? open : close ? close : escape ? 2 : 1;
  }
  if (depth != 0) return {};
  parts.push_back(trim(text.substr(start)));
  return parts;
}

}  // namespace longshot::math
