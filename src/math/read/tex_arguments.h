#pragma once
// Braces around the arguments of LaTeX commands.

#include <string>

namespace longshot::math {

// \frac12 -> \frac{1}{2}, \frac1{10} -> \frac{1}{10}, \frac{10}3 -> \frac{10}{3}, \frac\pi4 ->
// \frac{\pi}{4}, \sqrt2 -> \sqrt{2}. Linear.
std::string brace_arguments(const std::string& text);

}  // namespace longshot::math
