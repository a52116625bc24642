#pragma once
// Converts plain mathematics (math/read/latex.h) to an expression tree.

#include <optional>
#include <string_view>

#include "math/symbolic/expression.h"

namespace longshot::math {

// Reads the whole text as one arithmetic expression: + - * / ^ ! %, products without a sign (2x,
// \pi r, (a+2)(a-2)), \frac, \sqrt[n]{}, \binom, |x|, \lfloor x \rfloor, the elementary functions
// with and without parentheses, repeating decimals 0.\overline{3}, mixed numbers, subscripts, Greek
// and single Latin letters.
// e and i are the constants. \log without a base is ln times an unknown, so that \log 4 = 2 \log 2
// without an assumption about the base. f(x), g(x), h(x) are values of unknown functions. Sums,
// products, integrals and limits are names, which are equal if their limits and bodies are.
// Returns nullopt for anything else, notably words, relations and lists; for texts over 2,000
// characters; for nesting deeper than 40; for a literal over 1,000 digits. Linear in the length of
// the text.
std::optional<Expression> parse_expression(std::string_view plain);

}  // namespace longshot::math
