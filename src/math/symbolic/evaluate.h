#pragma once
// Fast numeric evaluation with an error bound. It distinguishes most unequal expressions without
// symbolic work.

#include <map>
#include <string>

#include "math/symbolic/expression.h"

namespace longshot::math {

struct Approximation {
  enum class State : char {
    defined,    // |value - true value| <= error
    undefined,  // certainly no real number, such as the logarithm of a negative number
    // not decidable in doubles: rounding, size, or an unsupported part
    unclear,
  };
  State state = State::unclear;
  double value = 0, error = 0;
};

// Returns the real value at a point. Odd roots of negative numbers are real. `point` must name
// every variable.
Approximation evaluate(const Expression& e, const std::map<std::string, double>& point);

// True if a and b certainly differ at one of a few fixed points of their variables: in their
// values, or because only one of them is defined. With `positive` the points have positive
// coordinates. Pure.
bool surely_different(const Expression& a, const Expression& b, bool positive);

}  // namespace longshot::math
