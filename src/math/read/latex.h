#pragma once
// Brings written mathematics into one plain form, so that layout never decides whether answers are
// equal.

#include <string>
#include <string_view>

namespace longshot::math {

// Removes layout and decoration: $ and \( \), \left \right, spacing commands, \boxed, currency
// signs, degree signs, a final full stop, markdown emphasis. Unifies: \dfrac \tfrac -> \frac,
// \frac12 -> \frac{1}{2}, \times \cdot x-signs -> *, \div -> /, unicode minus -> -, {,} -> ",", \%
// -> %. \text{cm} and its relatives become " cm ". Linear in the length of the input.
std::string plain_math(std::string_view text);

// Reduces plain_math output to a key for exact comparison: no spaces except between digits, ^{2} =
// ^2, words in lower case (single letters keep their case: x is not X).
std::string text_key(const std::string& plain);

}  // namespace longshot::math
