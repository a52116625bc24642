#include "math/read/scan.h"

namespace longshot::math {
namespace {

constexpr std::string_view kBegin = "\\begin{", kEnd = "\\end{";
constexpr std::string_view kLeftAngle = "\\langle", kRightAngle = "\\rangle";

bool has(std::string_view kinds, char c) {
  return kinds.find(c) != std::string_view::npos;
}

}  // namespace

size_t bracket_at(std::string_view text, size_t i, std::string_view kinds) {
  const bool escaped = text[i] == '\\' && i + 1 < text.size();
  if (escaped && text.substr(i, kBegin.size()) == kBegin)
    return has(kinds, 'b') ? kBegin.size() - 1 : 0;
  if (escaped && text.substr(i, kEnd.size()) == kEnd) return has(kinds, 'e') ? kEnd.size() - 1 : 0;
  if (escaped && text.substr(i, kLeftAngle.size()) == kLeftAngle)
    return has(kinds, '(') ? kLeftAngle.size() : 0;
  if (escaped && text.substr(i, kRightAngle.size()) == kRightAngle)
    return has(kinds, ')') ? kRightAngle.size() : 0;
  const char c = escaped ? text[i + 1] : text[i];
  if ((escaped && c != '{' && c != '}') || is_alpha(c)) return 0;
  return !has(kinds, c) ? 0 : (escaped ? 2 : 1);
}

size_t after_closing(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t open = bracket_at(text, i, "([{b"), close = open ? 0 : bracket_at(text, i, ")]}e");
    depth += open ? 1 : close ? -1 : 0;
    i += open ? open : close ? close : 1;
    if (depth == 0) return i;
  }
  return std::string_view::npos;
}

}  // namespace longshot::math
