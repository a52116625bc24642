#pragma once
// Forms of expressions that the parser of plain mathematics builds. Pure.

#include <optional>
#include <string_view>

#include "math/symbolic/expression.h"

namespace longshot::math {

// Puts sums and products into one order, so that a b and b a have the same name.
Expression ordered(Expression e);

// Replaces an expression with a rational value by that number, so that the exponent {2/3} is a
// number and not a quotient: powers with a number as exponent depend on its numerator and
// denominator.
Expression folded(Expression e);

// Applies the function with a name of tex_cursor.h: exp is a power of e, \lg has base 10, and \log
// without a base is \ln times an unknown.
Expression called(std::string_view name, std::optional<Expression> base, Expression x);

}  // namespace longshot::math
