#pragma once
// Decides whether two expressions are equal. Runs in the symbolic worker: its time is not bounded.

#include "math/symbolic/expression.h"

namespace longshot::math {

enum class Proof : char {
  equal,
  different,  // at some point, as values or because only one of them is defined
  unproven,
};

// Compares a and b as functions of real variables (of positive ones with `positive`), with
// principal values if i occurs.
// 1. At random points they are evaluated in long floats. They must agree, and be defined at the
//    same points. One clear disagreement is `different`.
// 2. Without variables, agreement to the error bound of at least 130 digits, more for longer
//    numerals, is `equal`.
// 3. A proof by normal form is `equal`. Between rational functions nothing else is.
// 4. If no root, logarithm, absolute value or other function with branches is applied to a
//    variable, agreement at 12 points, computed in at least 100 digits, is `equal`: such functions
//    are analytic, so a difference shows almost everywhere.
// 5. With branches, agreement in every combination of signs (of up to four variables) together with
//    a proof by normal form for positive variables is `equal`. Agreement without that proof never
//    is.
// Not thread-safe. Throws std::bad_alloc if memory is exhausted.
Proof prove(const Expression& a, const Expression& b, bool positive);

}  // namespace longshot::math
