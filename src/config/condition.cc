#include "config/condition.h"

#include <fmt/format.h>

#include <cmath>
#include <sstream>

namespace longshot::config {
namespace {

// Puts spaces around the comparison, so that "a>=0.6" is read like "a >= 0.6".
std::string with_spaces(std::string text) {
  const size_t at = text.find_first_of("<>");
  if (at == std::string::npos) return text;
  const size_t length = text.compare(at + 1, 1, "=") == 0 ? 2 : 1;
  text.insert(at + length, " ");
  text.insert(at, " ");
  return text;
}

std::optional<double> number_of(const std::string& text) {
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  double value = 0;
  if (!(in >> value) || !in.eof() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

Result<Condition> parse_condition(const std::string& text, const std::string& where) {
  std::istringstream in(with_spaces(text));
  std::string metric, comparison, number, rest;
  in >> metric >> comparison >> number;
  const auto kind = value_of<Comparison>(comparison);
  const auto value = number_of(number);
  if (kind && value && !(in >> rest)) return Condition{metric, *kind, *value};
  return invalid_argument(fmt::format(
      "{} = \"{}\" must have the form \"METRIC >= NUMBER\", such as \"val/accuracy >= 0.6\"; the "
      "comparison is <, <=, > or >=",
      where, text));
}

std::optional<bool> holds(const Condition& condition, const Metrics& metrics) {
  const auto found = metrics.find(condition.metric);
  if (found == metrics.end()) return std::nullopt;
  switch (condition.comparison) {
    case Comparison::less:
      return found->second < condition.value;
    case Comparison::at_most:
      return found->second <= condition.value;
    case Comparison::more:
      return found->second > condition.value;
    case Comparison::at_least:
      return found->second >= condition.value;
  }
  return std::nullopt;
}

}  // namespace longshot::config
