#include "reward/units.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "reward/text.h"

namespace longshot::reward {
namespace {

// Spellings of one unit on one line; the first is the canonical name.
constexpr std::string_view kUnits[][7] = {
    {"mm", "millimeter", "millimeters", "millimetre", "millimetres"},
    {"cm", "centimeter", "centimeters", "centimetre", "centimetres"},
    {"m", "meter", "meters", "metre", "metres"},
    {"km", "kilometer", "kilometers", "kilometre", "kilometres"},
    {"in", "inch", "inches"},
    {"ft", "foot", "feet"},
    {"yd", "yard", "yards"},
    {"mi", "mile", "miles"},
    {"mg", "milligram", "milligrams"},
    {"g", "gram", "grams"},
    {"kg", "kilogram", "kilograms"},
    {"lb", "lbs", "pound", "pounds"},
    {"oz", "ounce", "ounces"},
    {"ml", "mL", "milliliter", "milliliters", "millilitre", "millilitres"},
    {"l", "L", "liter", "liters", "litre", "litres"},
    {"s", "sec", "secs", "second", "seconds"},
    {"min", "mins", "minute", "minutes"},
    {"h", "hr", "hrs", "hour", "hours"},
    {"day", "days"},
    {"week", "weeks"},
    {"month", "months"},
    {"year", "years", "yr", "yrs"},
    {"degree", "degrees", "deg"},
    {"radian", "radians", "rad"},
    {"dollar", "dollars", "usd", "USD"},
    {"cent", "cents"},
    {"euro", "euros", "EUR"},
    {"unit", "units"},
    {"mph"},
    {"N", "newton", "newtons"},
    {"J", "joule", "joules"},
    {"W", "watt", "watts"},
    {"V", "volt", "volts"},
    {"Hz", "hertz"},
    {"K", "kelvin"},
    {"C", "celsius"},
    {"F", "fahrenheit"},
};

constexpr std::string_view kMeaning[] = {
    "or",        "and",        "nor",      "not",        "no",        "either",    "neither",
    "between",   "than",       "least",    "most",       "to",        "maybe",     "perhaps",
    "possibly",  "probably",   "might",    "could",      "may",       "if",        "unless",
    "unknown",   "except",     "hundred",  "hundreds",   "thousand",  "thousands", "million",
    "millions",  "billion",    "billions", "trillion",   "trillions", "dozen",     "dozens",
    "half",      "halves",     "third",    "thirds",     "quarter",   "quarters",  "fourth",
    "fourths",   "fifth",      "fifths",   "tenth",      "tenths",    "hundredth", "hundredths",
    "twice",     "double",     "doubled",  "triple",     "tripled",   "times",     "minus",
    "plus",      "over",       "divided",  "multiplied", "root",      "sqrt",      "pi",
    "percent",   "percentage", "pct",      "factorial",  "mod",       "modulo",    "power",
    "raised",    "choose",     "negative", "more",       "less",      "fewer",     "but",
    "wrong",     "incorrect",  "rather",   "instead",    "isn",       "aren",      "wasn",
    "don",       "cannot",     "can",      "sin",        "cos",       "tan",       "log",
    "ln",        "exp",        "i",        "remainder",  "both",      "also",      "alternatively",
    "otherwise", "any",        "base",     "e",          "squared",   "cubed"};

std::string_view known_unit(std::string_view word) {
  for (const auto& row : kUnits) {
    if (std::find(std::begin(row), std::end(row), word) != std::end(row) && !word.empty())
      return row[0];
  }
  if (word.size() < 2) return {};  // m is not M
  const std::string lower = to_lower(word);
  for (const auto& row : kUnits) {
    if (std::find(std::begin(row), std::end(row), lower) != std::end(row)) return row[0];
  }
  return {};
}

// ^2, ^{2}, ^-1 after a unit; returns its length, 0 when none, npos when it is not a small
// exponent.
size_t exponent_length(std::string_view text) {
  if (text.empty() || text[0] != '^') return 0;
  size_t i = 1;
  const bool braced = i < text.size() && text[i] == '{';
  if (braced) ++i;
  if (i < text.size() && text[i] == '-') ++i;
  if (i >= text.size() || text[i] < '1' || text[i] > '4') return std::string_view::npos;
  ++i;
  if (braced && (i >= text.size() || text[i++] != '}')) return std::string_view::npos;
  return i < text.size() && is_digit(text[i]) ? std::string_view::npos : i;
}

std::string digits_of(std::string_view exponent) {
  std::string out;
  std::copy_if(exponent.begin(), exponent.end(), std::back_inserter(out),
               [](char c) { return is_digit(c) || c == '-' || c == '^'; });
  return out;
}

bool acceptable_word(std::string_view word, bool first, bool attached) {
  const bool known = !known_unit(word).empty();
  if (first && attached) return known && word.size() >= 2;
  if (word.size() == 1) return known || (!first && word == "a");
  const std::string lower = to_lower(word);
  if (!first && (lower == "squared" || lower == "cubed")) return true;
  return known || !changes_meaning(lower);
}

}  // namespace

bool changes_meaning(std::string_view lower_word) {
  return std::find(std::begin(kMeaning), std::end(kMeaning), lower_word) != std::end(kMeaning);
}

std::optional<std::string> read_unit(std::string_view rest, bool attached) {
  rest = (attached && !rest.empty() && is_space(rest.front())) ? (attached = false, trim(rest))
                                                               : trim(rest);
  std::string unit;
  int words = 0;
  while (!rest.empty()) {
    size_t length = 0;
    while (length < rest.size() && is_alpha(rest[length])) ++length;
    if (length == 0) return std::nullopt;
    const std::string_view word = rest.substr(0, length);
    if (++words > 8 || !acceptable_word(word, words == 1, attached)) return std::nullopt;
    const std::string_view known = known_unit(word);
    if (!unit.empty() && unit.back() != '/') unit += ' ';
    unit += known.empty() ? to_lower(word) : std::string(known);
    rest = trim(rest.substr(length));
    const size_t exponent = exponent_length(rest);
    if (exponent == std::string_view::npos) return std::nullopt;
    unit += digits_of(rest.substr(0, exponent));
    rest = trim(rest.substr(exponent));
    if (!rest.empty() && rest.front() == '/' && !known.empty()) {
      unit += '/';
      rest = trim(rest.substr(1));
      if (rest.empty()) return std::nullopt;
    }
  }
  return unit;
}

bool is_known_unit(const std::string& unit) {
  return !known_unit(std::string_view(unit).substr(0, unit.find_first_of(" ^/"))).empty();
}

bool units_agree(const std::string& a, const std::string& b) {
  if (a == b || a.empty() || b.empty()) return true;
  return !is_known_unit(a) || !is_known_unit(b);
}

}  // namespace longshot::reward
