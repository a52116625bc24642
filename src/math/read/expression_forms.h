#pragma once
// Forms of expressions that the parser of plain mathematics builds. Pure.

#include <optional>
#include <string_view>

#include "math/symbolic/expression.h"

namespace longshot::math {

// Sums and products in one order, so that a b and b a have one name.
Expression ordered(Expression e);

// {2/3} is a number and not a quotient: exponents are asked for their numerators.
Expression folded(Expression e);

// A function by its name in tex_cursor.h: exp is a power of e, \lg has base 10, and \log without a
// base is \ln times an unknown.
Expression called(std::string_view name, std::optional<Expression> base, Expression x);

}  // namespace longshot::math
