#pragma once
// Reads the arguments of one instruction, with errors that name it.

#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "reward/rules/regex.h"

namespace longshot::reward {

enum class Relation { less_than, at_least };

class Arguments {
 public:
  // Borrows `values`, which must be an object or null.
  Arguments(const Json& values, std::string where) : values_(values), where_(std::move(where)) {}

  Result<int> count(const std::string& key) const;                       // an integer above 0
  Result<std::string> text(const std::string& key) const;                // not empty
  Result<std::vector<std::string>> texts(const std::string& key) const;  // at least one
  Result<Relation> relation(const std::string& key) const;  // "less than" or "at least"
  const std::string& where() const { return where_; }

 private:
  Result<const Json*> find(const std::string& key) const;

  const Json& values_;
  std::string where_;
};

inline bool holds(int64_t actual, Relation relation, int threshold) {
  return relation == Relation::less_than ? actual < threshold : actual >= threshold;
}

// An expression in the syntax of Python's re, as far as PCRE2 shares it.
Result<Regex> python_regex(const std::string& pattern, const std::string& flags,
                           const std::string& where);

}  // namespace longshot::reward
