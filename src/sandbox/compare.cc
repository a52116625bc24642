#include "sandbox/compare.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include "base/json_match.h"

namespace longshot::sandbox {
namespace {

constexpr std::string_view kSpace = " \t\r\n\v\f";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  text = trimmed(text);
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(trimmed(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

std::vector<std::string_view> tokens_of(std::string_view text) {
  std::vector<std::string_view> tokens;
  for (size_t begin = text.find_first_not_of(kSpace); begin != text.npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, begin), text.size());
    tokens.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return tokens;
}

std::optional<double> number_of(std::string_view token) {
  if (token.starts_with('+')) token.remove_prefix(1);
  double value = 0;
  const auto parsed = std::from_chars(token.data(), token.data() + token.size(), value);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == token.data() + token.size();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

bool close_numbers(double actual, double expected, const Tolerance& tolerance, bool integer) {
  const bool absolute = integer && !tolerance.integers;
  const double scale = absolute ? 1 : std::max(1.0, std::fabs(expected));
  return std::fabs(actual - expected) <= tolerance.value * scale;
}

// The digits of an integer without leading zeros, with a minus sign if it is negative. Empty if the
// token has another form.
std::string integer_digits(std::string_view token) {
  const bool negative = token.starts_with('-');
  if (negative || token.starts_with('+')) token.remove_prefix(1);
  if (token.empty() || token.find_first_not_of("0123456789") != token.npos) return "";
  token.remove_prefix(std::min(token.find_first_not_of('0'), token.size() - 1));
  return (negative && token != "0" ? "-" : "") + std::string(token);
}

bool same_token(std::string_view actual, std::string_view expected, const Tolerance& tolerance) {
  if (actual == expected) return true;
  if (tolerance.value <= 0) return false;
  const std::string integer = integer_digits(expected);
  // Integers may have more digits than a double can represent.
  if (!integer.empty() && !tolerance.integers) {
    if (const std::string other = integer_digits(actual); !other.empty()) return other == integer;
  }
  const auto a = number_of(actual), b = number_of(expected);
  return a && b && close_numbers(*a, *b, tolerance, !integer.empty());
}

bool same_tokens(std::string_view actual, std::string_view expected, const Tolerance& tolerance) {
  const auto a = tokens_of(actual), b = tokens_of(expected);
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(),
      [&](std::string_view x, std::string_view y) { return same_token(x, y, tolerance); });
}

bool same_lines(std::string_view actual, std::string_view expected, const Tolerance& tolerance) {
  const auto a = lines_of(actual), b = lines_of(expected);
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](std::string_view x, std::string_view y) {
                      return x == y || (tolerance.value > 0 && same_tokens(x, y, tolerance));
                    });
}

bool is_number(const Json& value) {
  return value.is_boolean() || longshot::number_of(value).has_value();
}

// True equals 1 in Python.
Json as_number(const Json& value) {
  return value.is_boolean() ? Json(value.get<bool>() ? 1 : 0) : value;
}

bool same_numbers(const Json& actual, const Json& expected, const Tolerance& tolerance) {
  if (same_number(actual, expected)) return true;
  if (tolerance.value <= 0) return false;
  const bool integer = !expected.is_number_float();
  if (integer && !actual.is_number_float() && !tolerance.integers) return false;
  const double a = *longshot::number_of(actual), b = *longshot::number_of(expected);
  // Beyond this limit, the next double after an integer is further away than any tolerance, even
  // though both may round alike.
  constexpr double kAllWhole = 1LL << 52;
  if (integer && !tolerance.integers && std::fabs(b) >= kAllWhole) return false;
  return close_numbers(a, b, tolerance, integer);
}

// The shortest text of a double has up to 24 characters. An integer that equals a double may have
// as many digits as the largest double.
uint64_t max_number_bytes(const Json& number) {
  constexpr uint64_t kFloat = 25, kLongInteger = 320;
  const bool large = std::fabs(*longshot::number_of(number)) >= 1e15;
  return std::max<uint64_t>(dump_json(number).size(), large ? kLongInteger : kFloat);
}

}  // namespace

std::optional<Comparison> parse_comparison(std::string_view name) {
  if (name == "lines") return Comparison::lines;
  if (name == "tokens") return Comparison::tokens;
  if (name == "exact") return Comparison::exact;
  return std::nullopt;
}

bool same_output(std::string_view actual, std::string_view expected, Comparison comparison,
                 const Tolerance& tolerance) {
  if (comparison == Comparison::exact) return actual == expected;
  return comparison == Comparison::lines ? same_lines(actual, expected, tolerance)
                                         : same_tokens(actual, expected, tolerance);
}

bool same_value(const Json& actual, const Json& expected, const Tolerance& tolerance) {
  if (is_number(actual) && is_number(expected))
    return same_numbers(as_number(actual), as_number(expected), tolerance);
  if (actual.type() != expected.type() || actual.size() != expected.size()) return false;
  if (actual.is_array()) {
    return std::equal(actual.begin(), actual.end(), expected.begin(),
                      [&](const Json& a, const Json& b) { return same_value(a, b, tolerance); });
  }
  if (!actual.is_object()) return actual == expected;
  return std::all_of(expected.items().begin(), expected.items().end(), [&](const auto& item) {
    return actual.contains(item.key()) && same_value(actual[item.key()], item.value(), tolerance);
  });
}

bool same_answer(std::string_view actual, const Json& expected, const Tolerance& tolerance) {
  return json_text_matches(
      actual, expected, [&](const Json& a, const Json& b) { return same_value(a, b, tolerance); });
}

uint64_t max_answer_bytes(const Json& expected) {
  if (is_number(expected)) return max_number_bytes(as_number(expected));
  if (!expected.is_structured()) return dump_json(expected).size();
  uint64_t bytes = 2;
  for (const auto& [key, value] : expected.items())
    bytes +=
        max_answer_bytes(value) + 1 + (expected.is_object() ? dump_json(Json(key)).size() + 1 : 0);
  return bytes;
}

}  // namespace longshot::sandbox
