#include "math/read/open_intervals.h"

#include "base/text/text.h"

namespace longshot::math {
namespace {

constexpr size_t kNone = std::string_view::npos;

// The position of the bracket that ends the interval begun before `i`. kNone unless exactly one
// separator, with something on both sides, comes before it. If there is a semicolon, commas are
// decimal.
size_t end_of_interval(std::string_view text, size_t i) {
  int depth = 0, commas = 0, semicolons = 0;
  bool filled = false;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (depth == 0 && (c == '[' || c == ']' || c == ')')) {
      const bool two = semicolons == 1 || (semicolons == 0 && commas == 1);
      return two && filled ? i : kNone;
    }
    depth += c == '(' || c == '{' ? 1 : c == ')' || c == '}' ? -1 : 0;
    if (depth < 0) return kNone;
    if (depth == 0 && (c == ';' || c == ',')) {
      if (!filled || ++(c == ';' ? semicolons : commas) > 2) return kNone;
      filled = false;
    } else if (!is_space(c)) {
      filled = true;
    }
  }
  return kNone;
}

}  // namespace

std::string with_round_brackets(std::string_view plain) {
  std::string out(plain);
  if (plain.find_first_of("[]") == kNone) return out;
  bool outward = false;
  for (size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    if (c != '[' && c != ']' && c != '(') continue;
    const size_t end = end_of_interval(plain, i + 1);
    if (end == kNone && c == '(') continue;
    if (end == kNone) return std::string(plain);
    if (c == ']') out[i] = '(';
    if (plain[end] == '[') out[end] = ')';
    outward |= c == ']' || plain[end] == '[';
    i = end;
  }
  return outward ? out : std::string(plain);
}

}  // namespace longshot::math
