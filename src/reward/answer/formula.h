#pragma once
// Formulas in running text.

#include <cstddef>
#include <optional>
#include <string_view>

namespace longshot::reward {

struct Formula {
  size_t begin = 0, end = 0;  // with its delimiters
  std::string_view content;
};

// The last $...$ (on one line), $$...$$, \(...\) or \[...\] that is complete. One pass.
std::optional<Formula> last_formula(std::string_view text);

}  // namespace longshot::reward
