#pragma once
// Converts Unicode signs of written mathematics to LaTeX or ASCII.

#include <string>
#include <string_view>

namespace longshot::math {

// Converts full-width letters, digits, punctuation and spaces to ASCII; other text is unchanged.
// Linear.
std::string half_width(std::string_view text);

// Converts signs to the LaTeX or ASCII that means the same: \u00d7 -> *, \u00bd -> \frac{1}{2},
// x\u00b9\u2070 -> x^{10}, log\u2082 -> log_{2}, \u221a12 -> \sqrt{12}, \u00b9\u2044\u2083 ->
// \frac{1}{3}, \u03c0 -> \pi. The degree sign becomes ^{\circ}; \u2103 becomes ^{\circ}C. Marks
// without meaning (zero-width spaces, check marks) are dropped. Characters that are not in the
// table stay. Linear.
std::string signs_to_latex(std::string_view text);

}  // namespace longshot::math
