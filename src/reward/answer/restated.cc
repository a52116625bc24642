#include "reward/answer/restated.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/text/text.h"
#include "math/read/answer.h"
#include "math/read/latex.h"
#include "math/read/number_words.h"
#include "math/read/rational.h"
#include "math/read/units.h"
#include "math/symbolic/evaluate.h"
#include "reward/answer/phrases.h"

namespace longshot::reward {
namespace {

constexpr size_t kNone = std::string_view::npos;

// The number of digits after the first decimal point in a text.
int decimal_places(std::string_view text) {
  const size_t point = text.find('.');
  if (point == kNone) return 0;
  size_t end = point + 1;
  while (end < text.size() && is_digit(text[end])) ++end;
  return static_cast<int>(end - point - 1);
}

// True if `rounded` is the exact value rounded to `places` decimal places.
bool rounds_to(const mpq_class& exact, const mpq_class& rounded, int places) {
  mpz_class scale;
  mpz_ui_pow_ui(scale.get_mpz_t(), 10, static_cast<unsigned long>(std::min(places, 100)));
  return abs(exact - rounded) * 2 * scale <= 1;
}

bool same_number(const math::Number& a, const math::Number& b, int places_a, int places_b,
                 bool rounded) {
  const auto ratio = math::unit_ratio(a.unit, b.unit);
  if (!ratio) return false;
  const mpq_class x = a.value * *ratio;
  if (x == b.value || math::numbers_agree(a, b)) return true;
  if (!rounded) return false;
  const int percent = (a.percent ? 2 : 0), percent_b = (b.percent ? 2 : 0);
  const bool a_is_finer = !a.decimal || places_a + percent > places_b + percent_b;
  const bool b_is_finer = !b.decimal || places_b + percent_b > places_a + percent;
  if (places_b > 0 && a_is_finer) return rounds_to(x, b.value, places_b + percent_b);
  return places_a > 0 && b_is_finer && rounds_to(b.value, x, places_a + percent);
}

// True for expressions of the same value. With `rounded`, also true for a constant and its rounding
// to a decimal.
bool same_expression(const math::Answer& a, const math::Answer& b, bool rounded) {
  if (!a.expression || !b.expression) return false;
  if (*a.expression == *b.expression) return true;
  const bool constant = !has_variables(*a.expression) && !has_variables(*b.expression);
  if (rounded && constant && (a.number.has_value() != b.number.has_value())) {
    const auto x = math::evaluate(*a.expression, {}), y = math::evaluate(*b.expression, {});
    const int places = decimal_places(a.number ? a.text : b.text);
    if (x.state == math::Approximation::State::defined && y.state == x.state && places > 0)
      return std::abs(x.value - y.value) <= 0.5000001 * std::pow(10.0, -places);
  }
  return !math::surely_different(*a.expression, *b.expression, false);
}

bool same_value(const math::Answer& a, const math::Answer& b, bool rounded) {
  if (b.kind == math::Answer::Kind::relation && a.kind != b.kind && !b.parts.empty())
    return same_value(a, b.parts.back(), rounded);
  if (a.kind == math::Answer::Kind::relation && a.kind != b.kind && !a.parts.empty())
    return same_value(a.parts.back(), b, rounded);
  if (a.number && b.number)
    return same_number(*a.number, *b.number, decimal_places(a.text), decimal_places(b.text),
                       rounded);
  return same_expression(a, b, rounded);
}

// ---- "or ..."

constexpr std::string_view kLeads[] = {
    "about",   "approximately", "equivalently", "simply",     "equal",    "to",        "equals",
    "roughly", "around",        "exactly",      "in",         "decimal",  "form",      "as",
    "a",       "the",           "fraction",     "percentage", "percent",  "other",     "words",
    "just",    "more",          "precisely",    "simplified", "notation", "scientific"};

// Removes words that lead to a restatement: "equivalently", "in decimal form".
std::string_view without_leads(std::string_view text) {
  while (true) {
    text = text.substr(std::min(text.size(), text.find_first_not_of(" ,:*")));
    size_t length = 0;
    while (length < text.size() && is_alpha(text[length])) ++length;
    const bool lead = std::find(std::begin(kLeads), std::end(kLeads),
                                to_lower(text.substr(0, length))) != std::end(kLeads);
    if (length == 0 || length == text.size() || !lead) return text;
    text = text.substr(length);
  }
}

// The text up to a comma outside numbers, a semicolon, a question mark, or a parenthesis after a
// space. A final parenthesis that was opened before the text is removed.
std::string_view first_clause(std::string_view text) {
  if (text.ends_with(')') && text.find('(') == kNone) text.remove_suffix(1);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool digits =
        i > 0 && is_digit(text[i - 1]) && i + 1 < text.size() && is_digit(text[i + 1]);
    if ((text[i] == ',' && !digits) || text[i] == ';' || text[i] == '?' ||
        text.substr(i, 2) == " (")
      return text.substr(0, i);
  }
  return text;
}

bool gives_number(std::string_view tail) {
  if (std::any_of(tail.begin(), tail.end(), is_digit)) return true;
  const auto words = words_of(tail);
  if (words.empty()) return false;
  const std::string first = to_lower(words.front());
  for (const std::string_view word : {"more", "less", "fewer", "greater", "higher", "lower"}) {
    if (first == word) return true;
  }
  return std::any_of(words.begin(), words.begin() + std::min<std::ptrdiff_t>(4, std::ssize(words)),
                     [](std::string_view word) { return math::number_in_words(word).has_value(); });
}

// The position of the word "or" on the line after a box, within the first 60 characters; npos if
// there is none.
size_t or_position(std::string_view rest) {
  for (size_t i = 0; i + 3 < std::min<size_t>(rest.size(), 60); ++i) {
    if (rest[i] == '\n' && i > 2) return kNone;
    const bool apart = i == 0 || !is_alpha(rest[i - 1]);
    if (apart && starts_with_ignoring_case(rest.substr(i), "or") && !is_alpha(rest[i + 2]))
      return i;
  }
  return kNone;
}

std::string unit_text(std::string_view between) {
  const size_t from = between.find_first_not_of("$)}]* \t.");
  std::string text(from == kNone ? std::string_view() : between.substr(from));
  while (!text.empty() && std::string_view(" ,($*.\t").find(text.back()) != kNone) text.pop_back();
  return math::plain_math(text);
}

}  // namespace

bool restates(std::string_view answer, std::string_view other, bool rounded) {
  if (answer.size() > 1000 || other.size() > 1000) return false;
  return same_value(math::read_answer(math::plain_math(answer), true),
                    math::read_answer(math::plain_math(other), true), rounded);
}

std::string second_answer(std::string_view boxed, std::string_view rest) {
  if (const size_t word = or_position(rest); word != kNone) {
    const std::string unit = unit_text(rest.substr(0, word));
    const bool percent = unit == "%" || unit.starts_with("percent");
    const bool follows = unit.empty() || percent || math::read_unit(unit, false).has_value();
    const auto tail = sentence_from(rest, word + 2);
    if (follows && gives_number(tail)) {
      const std::string with_unit = std::string(boxed) + " " + unit;
      const auto other = without_leads(first_clause(tail));
      if (!restates(boxed, other, true) && !restates(with_unit, other, true))
        return std::string(tail);
    }
  }
  const size_t at = stated_announcement(rest);
  if (at == kNone) return "";
  std::string answer(stated_number(rest, at));
  return answer.empty() || restates(boxed, answer, true) ? "" : answer;
}

}  // namespace longshot::reward
