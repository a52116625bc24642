#include "reward/equal.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "reward/latex.h"
#include "reward/rational.h"
#include "reward/text.h"

namespace longshot::reward {
namespace {

constexpr size_t kMaxText = 40000;
constexpr size_t kMaxStructured = 4000;  // characters of a list or an equation
constexpr size_t kMaxElements = 100;
constexpr int kMaxDepth = 6;

bool equal_plain(const std::string& answer, const std::string& truth, int depth);

// ---- lists
// ----------------------------------------------------------------------------------------------------

struct List {
  char open = 0, close = 0;  // 0: bare
  std::vector<std::string> elements;

  bool ordered() const { return open == '(' || open == '['; }
  bool bare() const { return open == 0; }
};

// Length of the bracket at i: 1 for ( [ {, 2 for \{; 0 otherwise.
size_t bracket(std::string_view text, size_t i, std::string_view kinds) {
  const bool escaped = text[i] == '\\' && i + 1 < text.size();
  const char c = escaped ? text[i + 1] : text[i];
  if (escaped && c != '{' && c != '}') return 0;
  return kinds.find(c) == std::string_view::npos ? 0 : (escaped ? 2 : 1);
}

// Words that separate elements, with the spaces around them.
size_t separator_word(std::string_view text, size_t i) {
  if (i == 0 || is_alpha(text[i - 1])) return 0;
  for (const std::string_view word : {"and", "or"}) {
    if (!starts_with_ignoring_case(text.substr(i), word)) continue;
    const size_t end = i + word.size();
    if (end < text.size() && !is_alpha(text[end])) return word.size();
  }
  return 0;
}

bool thousands_comma(std::string_view text, size_t i) {
  const auto digit = [&](size_t at) { return at < text.size() && is_digit(text[at]); };
  return text[i] == ',' && i > 0 && digit(i - 1) && digit(i + 1) && digit(i + 2) && digit(i + 3) &&
         !digit(i + 4);
}

// Cuts at commas, semicolons, "and" and "or" outside brackets. Empty when brackets do not match.
std::vector<std::string> split(std::string_view text, bool keep_thousands) {
  std::vector<std::string> parts;
  int depth = 0;
  size_t start = 0;
  const auto cut = [&](size_t end, size_t skip) {
    const std::string_view part = trim(text.substr(start, end - start));
    if (!part.empty()) parts.emplace_back(part);
    start = end + skip;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (bracket(text, i, "([{")) ++depth;
    if (bracket(text, i, ")]}")) --depth;
    if (depth < 0) return {};
    if (text[i] == '\\' && i + 1 < text.size() && !is_alpha(text[i + 1])) ++i;
    if (depth > 0) continue;
    const size_t word = separator_word(text, i);
    const bool comma = text[i] == ',' && !(keep_thousands && thousands_comma(text, i));
    if (word || comma || text[i] == ';') cut(i, word ? word : 1);
    if (word) i += word - 1;
  }
  cut(text.size(), 0);
  return depth == 0 ? parts : std::vector<std::string>{};
}

// The position just after the bracket that closes the one at 0; npos when there is none.
size_t closing(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t open = bracket(text, i, "([{"), close = bracket(text, i, ")]}");
    depth += open ? 1 : close ? -1 : 0;
    if (open == 2 || close == 2) ++i;
    if (depth == 0) return i + 1;
  }
  return std::string_view::npos;
}

List read_list(std::string_view text, bool keep_thousands) {
  List list;
  text = trim(text);
  if (const size_t open = text.empty() ? 0 : bracket(text, 0, "([{");
      open && closing(text) == text.size()) {
    const size_t close = text.size() >= 2 && text[text.size() - 2] == '\\' ? 2 : 1;
    list.open = text[open - 1];
    list.close = text.back();
    text = text.substr(open, text.size() - open - close);
  }
  list.elements = split(text, keep_thousands);
  return list;
}

bool same_in_order(const List& a, const List& b, int depth) {
  for (size_t i = 0; i < a.elements.size(); ++i) {
    if (!equal_plain(a.elements[i], b.elements[i], depth)) return false;
  }
  return true;
}

bool same_in_any_order(const List& a, const List& b, int depth) {
  std::vector<bool> used(b.elements.size(), false);
  for (const auto& element : a.elements) {
    size_t j = 0;
    while (j < used.size() && (used[j] || !equal_plain(element, b.elements[j], depth))) ++j;
    if (j == used.size()) return false;
    used[j] = true;
  }
  return true;
}

bool equal_lists(const std::string& answer, const std::string& truth, bool keep_thousands,
                 int depth) {
  const List a = read_list(answer, keep_thousands), b = read_list(truth, keep_thousands);
  if (a.elements.size() != b.elements.size() || b.elements.size() > kMaxElements) return false;
  // One element in matching brackets, {5} or (x+1), is a change only when a bracket was removed.
  if (b.elements.size() < 2 && (b.elements.empty() || (a.bare() && b.bare()) ||
                                (!a.bare() && !b.bare() && a.open != b.open))) {
    return false;
  }
  if (!a.bare() && !b.bare() && (a.open != b.open || a.close != b.close)) return false;
  // [1,2) is an interval; it has no bare form.
  const auto half_open = [](const List& l) {
    return !l.bare() && ((l.open == '(') != (l.close == ')'));
  };
  if (half_open(a) != half_open(b)) return false;
  return a.ordered() || b.ordered() ? same_in_order(a, b, depth) : same_in_any_order(a, b, depth);
}

// ---- equations
// ------------------------------------------------------------------------------------------------

// Sides of a = b = c at bracket depth 0; empty when some side is empty.
std::vector<std::string> sides(std::string_view text) {
  std::vector<std::string> out;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size()) {
      const char c = text[i];
      depth += c == '(' || c == '[' || c == '{' ? 1 : c == ')' || c == ']' || c == '}' ? -1 : 0;
      if (c != '=' || depth != 0) continue;
      if (i > 0 && (text[i - 1] == '<' || text[i - 1] == '>' || text[i - 1] == '!')) return {};
    }
    const std::string_view side = trim(text.substr(start, i - start));
    if (side.empty()) return {};
    out.emplace_back(side);
    start = i + 1;
  }
  return out;
}

// The value a chain of equations ends in; empty when its numbers disagree or it names no value.
std::string last_side(const std::vector<std::string>& chain) {
  const auto last = parse_number(chain.back());
  for (size_t i = 0; last && i + 1 < chain.size(); ++i) {
    const auto side = parse_number(chain[i]);
    if (side && !numbers_agree(*side, *last)) return "";
  }
  return chain.back();
}

// A list such as "x=1, y=2" has equations inside its elements, not around them.
bool is_one_equation(const std::string& text) {
  return split(text, true).size() == 1;
}

bool equal_equations(const std::string& answer, const std::string& truth, int depth) {
  const bool answer_has = answer.find('=') != std::string::npos;
  const bool truth_has = truth.find('=') != std::string::npos;
  if (!answer_has && !truth_has) return false;
  if (!is_one_equation(answer) && !is_one_equation(truth)) return false;
  const auto a = answer_has ? sides(answer) : std::vector<std::string>{answer};
  const auto t = truth_has ? sides(truth) : std::vector<std::string>{truth};
  if (a.empty() || t.empty()) return false;
  if (a.size() > 1 && t.size() > 1 && text_key(a.front()) != text_key(t.front())) return false;
  // "2x + z = 1" is a statement, not a name for 1; only a short left side may be left out.
  if (t.size() > 1 && a.size() == 1 && t.front().find_first_of("+-*/^<>") != std::string::npos)
    return false;
  const std::string value = last_side(a);
  return !value.empty() && equal_plain(value, t.back(), depth);
}

// ---- all of it
// ------------------------------------------------------------------------------------------------

bool equal_numbers(const std::string& answer, const std::string& truth) {
  const auto t = parse_number(truth);
  if (!t) return false;
  const auto a = parse_number(answer);
  return a && numbers_agree(*a, *t);
}

bool equal_plain(const std::string& answer, const std::string& truth, int depth) {
  if (answer.empty() || truth.empty()) return false;
  if (text_key(answer) == text_key(truth)) return true;
  if (answer.size() > kMaxText || truth.size() > kMaxText) return false;
  if (equal_numbers(answer, truth)) return true;
  if (depth >= kMaxDepth || answer.size() > kMaxStructured || truth.size() > kMaxStructured)
    return false;
  return equal_lists(answer, truth, true, depth + 1) ||
         equal_lists(answer, truth, false, depth + 1) || equal_equations(answer, truth, depth + 1);
}

}  // namespace

bool equal_answers(std::string_view answer, std::string_view truth) {
  return equal_plain(plain_math(answer), plain_math(truth), 0);
}

}  // namespace longshot::reward
