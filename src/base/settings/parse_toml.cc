#include "base/settings/parse_toml.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace longshot {
namespace {

// Returns the end of the string that begins at `at`: "...", '...', or either with triple quotes.
size_t end_of_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool long_form = text.substr(at).starts_with(three);
  const std::string_view end = long_form ? std::string_view(three) : text.substr(at, 1);
  for (at += end.size(); at < text.size() && !text.substr(at).starts_with(end); ++at)
    if (text[at] == '\\' && quote == '"') ++at;
  return std::min(at + end.size(), text.size());
}

// The line of a dotted key with more than 100 parts. toml++ limits only the nesting of values, and
// a key with hundreds of thousands of parts would exhaust the stack.
std::optional<int> line_of_deep_key(std::string_view text) {
  constexpr int kMaxDots = 100;
  int line = 1, dots = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '"' || text[at] == '\'') {
      const size_t end = end_of_string(text, at);
      line += static_cast<int>(std::count(text.begin() + at, text.begin() + end, '\n'));
      at = end;
      continue;
    }
    if (text[at] == '#') at = std::min(text.find('\n', at), text.size() - 1);
    if (text[at] == '.' && ++dots > kMaxDots) return line;
    if (std::string_view("=[]{},\n").find(text[at]) != std::string_view::npos) dots = 0;
    line += text[at++] == '\n';
  }
  return std::nullopt;
}

}  // namespace

Result<toml::table> parse_toml(const std::string& text, const std::string& where) {
  if (const auto line = line_of_deep_key(text))
    return invalid_argument(fmt::format("{}:{}: a key has more than 100 parts", where, *line));
  try {
    return toml::parse(text, where);
  } catch (const toml::parse_error& error) {
    return invalid_argument(fmt::format("{}:{}: {}", where, error.source().begin.line,
                                        std::string(error.description())));
  }
}

}  // namespace longshot
