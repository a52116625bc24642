#include "sandbox/compare.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

namespace longshot::sandbox {
namespace {

constexpr std::string_view kSpace = " \t\r\n\v\f";

std::string_view trimmed_end(std::string_view text) {
  const size_t last = text.find_last_not_of(kSpace);
  return text.substr(0, last == text.npos ? 0 : last + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  text = trimmed_end(text);
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(trimmed_end(text.substr(begin, end - begin)));
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

bool close_numbers(double actual, double expected, double tolerance) {
  return std::fabs(actual - expected) <= tolerance * std::max(1.0, std::fabs(expected));
}

bool same_token(std::string_view actual, std::string_view expected, double tolerance) {
  if (actual == expected) return true;
  if (tolerance <= 0) return false;
  const auto a = number_of(actual), b = number_of(expected);
  return a && b && close_numbers(*a, *b, tolerance);
}

}  // namespace

std::optional<Comparison> parse_comparison(std::string_view name) {
  if (name == "lines") return Comparison::lines;
  if (name == "tokens") return Comparison::tokens;
  if (name == "exact") return Comparison::exact;
  return std::nullopt;
}

bool same_output(std::string_view actual, std::string_view expected, Comparison comparison,
                 double tolerance) {
  if (comparison == Comparison::exact) return actual == expected;
  if (comparison == Comparison::lines) return lines_of(actual) == lines_of(expected);
  const auto a = tokens_of(actual), b = tokens_of(expected);
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(),
      [&](std::string_view x, std::string_view y) { return same_token(x, y, tolerance); });
}

bool same_value(const Json& actual, const Json& expected, double tolerance) {
  const auto a = longshot::number_of(actual), b = longshot::number_of(expected);
  if (a && b) {
    return same_number(actual, expected) || (tolerance > 0 && close_numbers(*a, *b, tolerance));
  }
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

}  // namespace longshot::sandbox
