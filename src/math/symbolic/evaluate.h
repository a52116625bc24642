#pragma once
// Fast numeric evaluation with an error bound: tells most unequal expressions apart without symbolic work.

#include <map>
#include <string>

#include "math/symbolic/expression.h"

namespace longshot::math {

struct Approximation {
  enum class State : char {
    defined,    // |value - true value| <= error
    undefined,  // surely no real number: the logarithm of a negative number
    unclear,    // rounding, size, or a part that doubles cannot follow
  };
  State state = State::unclear;
  double value = 0, error = 0;
};

// The real value at a point. Odd roots of negative numbers are real. `point` must name every variable.
Approximation evaluate(const Expression& e, const std::map<std::string, double>& point);

// Whether the two differ for certain at one of a few fixed points of their variables, as values or because only one of
// them is defined. With `positive` the points have positive coordinates. Pure.
bool surely_different(const Expression& a, const Expression& b, bool positive);

}  // namespace longshot::math
