#pragma once
// A condition on a metric, as phases name it: "val/accuracy >= 0.6".

#include <optional>
#include <string>

#include "base/metrics.h"
#include "base/spelling.h"
#include "base/status.h"

namespace longshot::config {

enum class Comparison { less, at_most, more, at_least };

constexpr auto spellings(Comparison) {
  using enum Comparison;
  return std::to_array<Spelling<Comparison>>(
      {{less, "<"}, {at_most, "<="}, {more, ">"}, {at_least, ">="}});
}

struct Condition {
  std::string metric;
  Comparison comparison = Comparison::at_least;
  double value = 0;
};

// Reads "METRIC COMPARISON NUMBER". invalid_argument, with `where` as its subject, if `text` has
// another form.
Result<Condition> parse_condition(const std::string& text, const std::string& where);

// nullopt if `metrics` lacks the condition's metric.
std::optional<bool> holds(const Condition& condition, const Metrics& metrics);

}  // namespace longshot::config
