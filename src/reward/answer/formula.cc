#include "reward/answer/formula.h"

#include <string>

#include "base/text/text.h"

namespace longshot::reward {
namespace {

constexpr size_t kNone = std::string_view::npos;

// The delimiter that starts a formula at i, and the one that ends it; empty for none.
struct Delimiters {
  std::string_view open, close;
};

Delimiters delimiters_at(std::string_view text, size_t i) {
  for (const auto& [open, close] : {Delimiters{"$$", "$$"}, Delimiters{"$", "$"},
                                    Delimiters{"\\(", "\\)"}, Delimiters{"\\[", "\\]"}}) {
    if (text.substr(i, open.size()) == open) return {open, close};
  }
  return {};
}

// The position of `close` at or after `from`. An escaped \$ does not close a formula, and a formula
// in single $ must close on its line.
size_t find_close(std::string_view text, size_t from, std::string_view close) {
  const bool inline_formula = close == "$";
  for (size_t i = from; i < text.size(); ++i) {
    if (text.substr(i, close.size()) == close) return i;
    if (text[i] == '\\') ++i;
    if (inline_formula && i < text.size() && text[i] == '\n') return kNone;
  }
  return kNone;
}

}  // namespace

std::optional<Formula> last_formula(std::string_view text) {
  std::optional<Formula> last;
  // A delimiter without a partner is searched for only once.
  bool open_ended[2] = {false, false};
  for (size_t i = 0; i < text.size(); ++i) {
    const auto [open, close] = delimiters_at(text, i);
    if (open.empty()) {
      if (text[i] == '\\') ++i;
      continue;
    }
    bool* const hopeless = open == "$" ? nullptr : &open_ended[open == "$$" ? 0 : 1];
    const size_t start = i + open.size();
    const size_t end = hopeless && *hopeless ? kNone : find_close(text, start, close);
    if (end == kNone) {
      if (hopeless) *hopeless = true;
      i += open.size() - 1;
      continue;
    }
    if (!trim(text.substr(start, end - start)).empty())
      last = Formula{i, end + close.size(), text.substr(start, end - start)};
    i = end + close.size() - 1;
  }
  return last;
}

}  // namespace longshot::reward
