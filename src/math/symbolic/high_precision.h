#pragma once
// Evaluation of an expression in CLN's long floats, with an error bound.

#include <ginac/ginac.h>

#include <map>
#include <string>

#include "math/symbolic/expression.h"

namespace longshot::math {

// Evaluates at one point, at the precision GiNaC::Digits. Not thread-safe, as GiNaC is not.
class HighPrecision {
 public:
  enum class State : char { defined, undefined, unclear };
  struct Value {
    State state = State::unclear;
    GiNaC::numeric value;
    double error = 0;  // log10 of a bound on |value - true value|, to first order
  };
  using Point = std::map<std::string, GiNaC::numeric>;

  // With `complex`, all values are principal values. Otherwise values are real: an expression
  // without a real value is undefined, and odd roots of negative numbers are the real ones.
  HighPrecision(Point point, bool complex) : point_(std::move(point)), complex_(complex) {}

  // Returns unclear at a pole, for a size or a function that cannot be computed, and where a
  // decision depends on the last digits.
  Value evaluate(const Expression& e) const;

 private:
  Value compute(const Expression& e) const;
  Value leaf(const Expression& e) const;
  Value power_of(const Expression& e, const Value& base, const Value& exponent) const;
  Value rational_power(const Value& base, const mpq_class& exponent) const;
  Value call(const Expression& e, const std::vector<Value>& args) const;
  Value logarithm(const Value& x) const;
  Value arc(const std::string& name, const Value& x) const;

  Point point_;
  bool complex_;
};

// log10 |x| to within 0.5; -1e300 for 0.
double magnitude(const GiNaC::numeric& x);

}  // namespace longshot::math
