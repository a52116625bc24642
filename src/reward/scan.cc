#include "reward/scan.h"

namespace longshot::reward {
namespace {

constexpr std::string_view kBegin = "\\begin{", kEnd = "\\end{";

}  // namespace

size_t bracket_at(std::string_view text, size_t i, std::string_view kinds) {
  const bool escaped = text[i] == '\\' && i + 1 < text.size();
  if (escaped && text.substr(i, kBegin.size()) == kBegin)
    return kinds.find('b') == std::string_view::npos ? 0 : kBegin.size() - 1;
  if (escaped && text.substr(i, kEnd.size()) == kEnd)
    return kinds.find('e') == std::string_view::npos ? 0 : kEnd.size() - 1;
  const char c = escaped ? text[i + 1] : text[i];
  if ((escaped && c != '{' && c != '}') || is_alpha(c)) return 0;
  return kinds.find(c) == std::string_view::npos ? 0 : (escaped ? 2 : 1);
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

}  // namespace longshot::reward
